"""Stop requests: noted, acted on by whoever asks, put away afterwards."""

import os
import signal
import threading

import pytest

from sgdm_lib.engine import Stopped, StopRequest


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", StopRequest.SIGNALS)
def test_the_first_signal_only_asks(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        stop.check()
        send(number)
        assert stop.signal == number
        with pytest.raises(Stopped):
            stop.check()
    assert signal.getsignal(number) is before


def test_the_second_signal_acts_at_once():
    with StopRequest() as stop:
        send(signal.SIGINT)
        assert stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_leaving_as_the_signal_would():
    with StopRequest() as stop:
        send(signal.SIGTERM)
    with pytest.raises(SystemExit) as left:
        stop.leave()
    assert left.value.code == 143
    with StopRequest() as stop:
        send(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        stop.leave()


def test_handlers_come_back_after_an_error():
    before = [signal.getsignal(number) for number in StopRequest.SIGNALS]
    with pytest.raises(RuntimeError, match="within"), StopRequest():
        raise RuntimeError("within")
    assert [signal.getsignal(number) for number in StopRequest.SIGNALS] == before


def test_outside_the_main_thread_nothing_is_installed():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with StopRequest() as stop:
            seen.append((signal.getsignal(signal.SIGINT), stop.signal))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, None)]
