"""Imports what every chapter imports. Each kernel is a fork of a process that has loaded this."""

import atexit
import gc

import ipykernel.kernelapp
import matplotlib.backends.backend_svg
import seaborn
import sklearn.datasets
import torch._dynamo
import torchvision

import sgdm_lib.book.page
import sgdm_lib.study.figures
import sgdm_lib.study.compare.lr_grid

gc.collect()
gc.freeze()  # forks share these pages until somebody writes, and a collection writes everywhere
atexit.register(gc.unfreeze)
