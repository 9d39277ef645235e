"""Augmentation: torchvision's pixels for given parameters, its distribution for random ones."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional as reference

from sgdm_lib import augment, data
from sgdm_lib.augment import pixels, rotation

MEAN, STD = (0.50708, 0.48655, 0.44092), (0.26733, 0.25644, 0.27615)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def to_pil(image):
    array = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return Image.fromarray(array if array.shape[2] == 3 else array[..., 0])


def from_pil(image):
    array = torch.from_numpy(np.array(image))
    return array.permute(2, 0, 1) if array.ndim == 3 else array[None]


def by_torchvision(image, params, index):
    """Crop, flip, rotate as torchvision does on PIL images, with the given parameters."""
    height, width = params.size
    pil = reference.pad(to_pil(image), [params.padding] * 4, fill=0)
    pil = reference.crop(pil, int(params.top[index]), int(params.left[index]), height, width)
    if params.flip[index]:
        pil = reference.hflip(pil)
    return from_pil(reference.rotate(pil, float(params.angle[index]), fill=0))


def random_images(n, channels, size, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, *size), dtype=torch.uint8, generator=rng)


def assert_same_as_torchvision(images, params):
    ours = augment.augment(images, params)
    for index, image in enumerate(images):
        theirs = by_torchvision(image, params, index)
        assert torch.equal(ours[index], theirs), (index, float(params.angle[index]))


@pytest.mark.parametrize(("size", "padding"), [((32, 32), 4), ((64, 64), 8), ((28, 28), 2)])
def test_every_pixel_equals_torchvisions(size, padding):
    images = random_images(150, 3, size)
    generator = data.generator(0, 0, "augment")
    assert_same_as_torchvision(images, augment.sample_params(150, generator, padding, size=size))


@settings(deadline=None, max_examples=50)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.sampled_from([1, 3]),
    padding=st.integers(0, 9),
    degrees=st.sampled_from([0.0, 15.0, 180.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_pixel_equals_torchvisions_for_any_size(size, channels, padding, degrees, seed):
    params = augment.sample_params(
        5, data.generator(seed, 0, "augment"), padding, degrees, size=size
    )
    assert_same_as_torchvision(random_images(5, channels, size, seed), params)


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (5, 9)])
@pytest.mark.parametrize("flip", [False, True])
def test_angles_next_to_rounding_boundaries(size, flip):
    """Right angles, and turns so small that Pillow's 15 decimals hide them."""
    angles = [0.0, -0.0, 1e-20, 1e-15, 5e-14, 1e-9, 15, -15, 30, 45, 60, 90, 180, 270, -90, 359.999]
    n = len(angles)
    params = augment.make_params(
        top=torch.arange(n) % 3,
        left=torch.arange(n).flip(0) % 3,
        flip=torch.full((n,), flip),
        angle=torch.tensor(angles, dtype=torch.float64),
        padding=1,
        size=size,
    )
    assert_same_as_torchvision(random_images(n, 3, size), params)


def test_both_ways_to_the_coefficients_agree(monkeypatch):
    """The vectorised coefficients, and Python's floats, which serve next to a boundary."""
    angle = (torch.rand(2000, dtype=torch.float64) - 0.5) * 720
    vectorised = rotation.fixed_point(angle, 32, 32)
    monkeypatch.setattr(rotation, "MARGIN", 1.0)
    assert torch.equal(vectorised, rotation.fixed_point(angle, 32, 32))


def test_next_to_a_boundary_pythons_floats_decide(monkeypatch):
    """Vectorised coefficients that fall just short of a boundary are not used."""
    exact = rotation.coefficients
    angle = torch.tensor([90.0, 17.0], dtype=torch.float64)
    expected = rotation.fixed_point(angle, 8, 8)
    # at 90 degrees all coefficients are whole or half pixels; the boundaries lie 2**-17 below
    short = torch.tensor([2.0**-17 + 1e-13, 0.0], dtype=torch.float64)

    def slightly_off(cosine, sine, height, width):
        numbers = exact(cosine, sine, height, width)
        vectorised = isinstance(cosine, torch.Tensor)
        return tuple(value - short for value in numbers) if vectorised else numbers

    monkeypatch.setattr(rotation, "coefficients", slightly_off)
    assert torch.equal(rotation.fixed_point(angle, 8, 8), expected)
    monkeypatch.setattr(rotation, "MARGIN", 0.0)
    assert not torch.equal(rotation.fixed_point(angle, 8, 8), expected)


def test_identity_returns_the_images():
    images = random_images(4, 3, (8, 8))
    zero = torch.zeros(4, dtype=torch.int64)
    params = augment.make_params(
        zero + 2, zero + 2, zero > 0, zero.double(), padding=2, size=(8, 8)
    )
    assert torch.equal(augment.augment(images, params), images)


def test_cutting_into_batches_changes_nothing(monkeypatch):
    images = random_images(50, 3, (16, 16))
    params = augment.sample_params(50, data.generator(1, 2, "augment"), size=(16, 16))
    whole = augment.augment(images, params)
    for size in (1, 7, 50):
        parts = [slice(first, first + size) for first in range(0, 50, size)]
        cut = torch.cat([augment.augment(images[part], params[part]) for part in parts])
        assert torch.equal(cut, whole)
    order = data.epoch_permutation(50, 0, 0)
    assert torch.equal(augment.augment(images[order], params[order]), whole[order])
    monkeypatch.setitem(pixels.CHUNK_PIXELS, "cpu", 3 * 256 + 5)
    assert torch.equal(augment.augment(images, params), whole)


def test_draws_depend_on_seed_and_epoch_alone():
    def params(seed, epoch):
        torch.manual_seed(seed + 7 * epoch)
        return augment.sample_params(20, data.generator(seed, epoch, "augment"), size=(8, 8))

    state = torch.get_rng_state()
    augment.sample_params(20, data.generator(0, 0, "augment"), size=(8, 8))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(params(3, 4).table, params(3, 4).table)
    assert not torch.equal(params(3, 4).table, params(3, 5).table)
    assert not torch.equal(params(3, 4).table, params(4, 4).table)
    order = data.generator(3, 4).get_state()
    assert not torch.equal(order, data.generator(3, 4, "augment").get_state())


def test_draws_have_the_stated_distribution():
    n = 20_000
    params = augment.sample_params(n, data.generator(0, 0, "augment"), 4, 15.0, size=(32, 32))
    for offset in (params.top, params.left):
        counts = offset.bincount(minlength=9).double()
        assert counts.numel() == 9
        chi_square = ((counts - n / 9) ** 2 / (n / 9)).sum()
        assert chi_square < 26.1  # 0.1% of chi-square with 8 degrees of freedom
    assert params.flip.double().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / n**0.5)
    grid = torch.linspace(-15, 15, 31, dtype=torch.float64)
    empirical = (params.angle[:, None] <= grid).double().mean(0)
    assert (empirical - (grid + 15) / 30).abs().max() < 1.95 / n**0.5  # Kolmogorov, 0.1%
    table = torch.stack([params.top, params.left, params.flip, params.angle]).double()
    off_diagonal = torch.corrcoef(table) - torch.eye(4, dtype=torch.float64)
    assert off_diagonal.abs().max() < 4 / n**0.5


def test_mean_and_variance_of_each_pixel_equal_those_of_torchvisions_transforms():
    n, image = 3000, random_images(1, 3, (8, 8), seed=5)[0]
    theirs_of = transforms.Compose(
        [
            transforms.RandomCrop(8, padding=2),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(15),
        ]
    )
    torch.manual_seed(0)
    pil = to_pil(image)
    theirs = torch.stack([from_pil(theirs_of(pil)) for _ in range(n)]).double()
    params = augment.sample_params(n, data.generator(0, 0, "augment"), 2, 15.0, size=(8, 8))
    ours = augment.augment(image.expand(n, -1, -1, -1), params).double()
    spread = (ours.var(0) + theirs.var(0)).div(n).sqrt()
    assert ((ours.mean(0) - theirs.mean(0)) / spread).abs().max() < 4.5  # of 192 pixels
    assert ours.std(0).sub(theirs.std(0)).abs().max() < 0.06 * theirs.std(0).max()


def test_no_flip_when_not_wanted():
    generator = data.generator(0, 0, "augment")
    assert not augment.sample_params(100, generator, size=(8, 8), flip=False).flip.any()


def test_normalise_equals_torchvisions_bit_for_bit():
    images = random_images(6, 3, (16, 16))
    theirs_of = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    theirs = torch.stack([theirs_of(to_pil(image)) for image in images])
    ours = augment.normalise(images, MEAN, STD)
    assert torch.equal(ours, theirs)
    assert torch.equal(augment.normalise(images, MEAN, STD, torch.bfloat16), theirs.bfloat16())


def test_the_fill_is_black_and_not_the_mean():
    images = torch.full((1, 3, 8, 8), 128, dtype=torch.uint8)
    zero = torch.zeros(1, dtype=torch.int64)
    params = augment.make_params(zero, zero, zero > 0, zero.double(), padding=2, size=(8, 8))
    corner = augment.normalise(augment.augment(images, params), MEAN, STD)[0, :, 0, 0]
    torch.testing.assert_close(corner, -torch.tensor(MEAN) / torch.tensor(STD))


def test_about_one_pixel_in_six_is_fill():
    images = torch.full((2000, 1, 32, 32), 255, dtype=torch.uint8)
    params = augment.sample_params(2000, data.generator(0, 0, "augment"), 4, 15.0, size=(32, 32))
    assert (augment.augment(images, params) == 0).double().mean().item() == pytest.approx(
        0.16, abs=0.005
    )


def test_draws_cannot_be_changed():
    params = augment.sample_params(2, data.generator(0, 0, "augment"), size=(8, 8))
    with pytest.raises(dataclasses.FrozenInstanceError):
        params.padding = 3
    assert len(params[:1]) == 1
    assert params.to("cpu").size == (8, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n must be a whole number >= 1, got 0"),
        ({"padding": -1}, "padding must be a whole number >= 0, got -1"),
        ({"padding": 1.5}, "padding must be a whole number"),
        ({"degrees": 181}, "degrees must be a finite number >= 0 and <= 180, got 181"),
        ({"degrees": float("nan")}, "degrees must be a finite number"),
        ({"size": (8, 0)}, "image size must be a whole number >= 1 and <= 4096, got 0"),
    ],
)
def test_draw_refuses_bad_numbers(change, message):
    arguments = {"n": 2, "padding": 4, "degrees": 15.0, "size": (8, 8)} | change
    with pytest.raises(ValueError, match=message):
        augment.sample_params(generator=data.generator(0), **arguments)


def test_fixed_refuses_offsets_outside_the_padded_image():
    zero = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="left must be a whole number >= 0 and <= 4, got 5"):
        augment.make_params(zero, zero + 5, zero > 0, zero.double(), padding=2, size=(8, 8))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 3, 8, 8), "images must be uint8"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "images must be uint8 of shape"),
        (torch.zeros(3, 3, 8, 8, dtype=torch.uint8), "for 2 images of size .8, 8., got 3"),
        (torch.zeros(2, 3, 8, 9, dtype=torch.uint8), "got 2 of size .8, 9."),
    ],
)
def test_apply_refuses_images_that_do_not_fit_the_draws(images, message):
    params = augment.sample_params(2, data.generator(0), size=(8, 8))
    with pytest.raises(ValueError, match=message):
        augment.augment(images, params)


@pytest.mark.gpu
@pytest.mark.gpu
def test_a_gpu_gives_the_same_bytes():
    images = random_images(300, 3, (32, 32))
    params = augment.sample_params(300, data.generator(0, 0, "augment"), size=(32, 32))
    expected = augment.augment(images, params)
    on_gpu = augment.augment(images.cuda(), params.to("cuda"))
    assert torch.equal(on_gpu.cpu(), expected)
    torch.testing.assert_close(
        augment.normalise(on_gpu, MEAN, STD).cpu(), augment.normalise(expected, MEAN, STD)
    )
