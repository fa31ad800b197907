"""Cameras that are programs: what sets them up, for the tests that need them."""

import gc
import logging
import socket
import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pymmcore
from pymmcore_plus import CMMCorePlus
from pymmcore_plus.experimental.unicore import SimpleCameraDevice
from waiting import PATIENCE_S

from napari_zarr_stream.cameras.genicam import GenICamCamera
from napari_zarr_stream.cameras.micromanager.core import running_core

# importing pymmcore_plus turns on the debug messages of all libraries
logging.root.setLevel(logging.WARNING)

# video files and a stream, for OpenCV

HEIGHT, WIDTH = 48, 64
FRAMES = 30
RATE = 0.25


def pictures(dtype, colour):
    shape = (FRAMES, HEIGHT, WIDTH, *(3,) * colour)
    limit = np.iinfo(dtype).max
    return np.random.default_rng(1).integers(0, limit, shape, dtype, endpoint=True)


def smooth_pictures():
    """Such as a lossy codec keeps nearly as they are: R, G, B that say which they are.

    Red grows to the right, green downwards, blue with time.
    """
    frames = np.empty((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    frames[..., 2] = np.linspace(0, 255, WIDTH)
    frames[..., 1] = np.linspace(0, 255, HEIGHT)[:, np.newaxis]
    frames[..., 0] = np.linspace(0, 255, FRAMES)[:, np.newaxis, np.newaxis]
    return frames


def write(path, codec, frames):
    colour = int(frames.ndim == 4)
    depth = cv2.CV_16U if frames.dtype == np.uint16 else cv2.CV_8U
    writer = cv2.VideoWriter(
        str(path),
        cv2.CAP_FFMPEG,
        cv2.VideoWriter_fourcc(*codec),
        RATE,
        (WIDTH, HEIGHT),
        [cv2.VIDEOWRITER_PROP_IS_COLOR, colour, cv2.VIDEOWRITER_PROP_DEPTH, depth],
    )
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


class Pictures(BaseHTTPRequestHandler):
    """Sends JPEG pictures without end, as an IP camera does, or until something."""

    def do_GET(self):
        self.send_response(200)
        kind = "multipart/x-mixed-replace; boundary=next"
        self.send_header("Content-Type", kind)
        self.end_headers()
        for number, frame in enumerate(self.server.frames()):
            _, data = cv2.imencode(".jpg", frame)
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
            try:
                self.wfile.write(head.encode() + b"\r\n\r\n" + data.tobytes() + b"\r\n")
            except ConnectionError:
                return  # the reader has enough
            if self.server.done.wait(0.02):
                return
            if self.server.until is not None and number + 1 >= self.server.until:
                if self.server.then == "stall":
                    self.server.done.wait(PATIENCE_S)
                return

    def log_message(self, *args):
        pass


@contextmanager
def picture_server():
    """Yield what starts a server of pictures and returns its address."""
    servers = []

    def start(until=None, then="end", frames=None):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
        server.until, server.then, server.done = until, then, threading.Event()
        server.frames = frames or (lambda: iter(smooth_pictures().repeat(50, axis=0)))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/live"

    yield start
    for server, thread in servers:
        server.done.set()
        server.shutdown()
        server.server_close()
        thread.join()


# GigE Vision


@contextmanager
def gige_port():
    """Wait for the port; other test runs on this computer need it as well.

    The fakes would share it silently. So whoever has this other port has that one.
    """
    while True:
        try:
            server = socket.create_server(("127.0.0.1", 39560))
        except OSError:
            time.sleep(0.1)  # until the time limit of the test
        else:
            break
    with server:
        yield


def gige(fake):
    """Return the camera of a FakeGigeCamera."""
    import viva_genicam

    device = fake.device_info(timeout_ms=150)
    info = {"name": "GenICam: fake", "ip": device.ip}
    return GenICamCamera(partial(viva_genicam.connect_gige, device), info)


# Micro-Manager

CONFIGURATION = """
Property,Core,Initialize,0
Device,Cam,DemoCamera,DCam
Property,Core,Initialize,1
Property,Core,Camera,Cam
Property,Cam,OnCameraCCDXSize,96
Property,Cam,OnCameraCCDYSize,64
ConfigPixelSize,Whole,Cam,Binning,1
PixelSize_um,Whole,0.325
"""
CHIP_WIDTH, CHIP_HEIGHT = 96, 64


class StampedCamera(SimpleCameraDevice):
    """A Python camera whose frame n is n everywhere."""

    def __init__(self, raises_at=None, channels=(), shrinks_at=None):
        super().__init__()
        self.exposure_ms, self.gain, self.number = 2.0, 1.5, 0
        self.raises_at, self.channels = raises_at, channels
        self.shrinks_at = shrinks_at

    def get_exposure(self):
        return self.exposure_ms

    def set_exposure(self, exposure):
        self.exposure_ms = min(exposure, 100.0)  # silently, as SDKs do

    def get_gain(self):
        return self.gain

    def set_gain(self, gain):
        if not 1 <= gain <= 8:
            raise ValueError("gain is out of range")
        self.gain = gain

    def get_actual_interval_ms(self):
        return self.exposure_ms

    def sensor_shape(self):
        return (64, 96, *self.channels)

    def dtype(self):
        return np.uint16

    def start_sequence(self, n, get_buffer):
        self.number = 0

        def place(shape, dtype):
            shrinks = self.number == self.shrinks_at
            return get_buffer((10, 10) if shrinks else shape, dtype)

        yield from super().start_sequence(n, place)

    def snap(self, buffer):
        if self.number == self.raises_at:
            raise OSError("cable pulled")
        time.sleep(self.exposure_ms / 1000)
        buffer[...] = self.number
        if self.channels:
            buffer[...] += np.arange(self.channels[0], dtype=np.uint16) * 1000
        self.number += 1
        return {"sensor": f"frame {self.number - 1}"}


@contextmanager
def shared_core():
    """Yield what makes a core with a camera the one that all share; none is left."""
    cores = []

    def start(kind=CMMCorePlus, device=None, adapter=("DemoCamera", "DCam"), **before):
        gc.collect()
        assert running_core() is None
        core = kind()
        cores.append(core)
        assert core is CMMCorePlus.instance()
        if adapter[0] == "SequenceTester":
            core.loadDevice("Hub", "SequenceTester", "THub")
            core.initializeDevice("Hub")
        if device is None:
            core.loadDevice("Cam", *adapter)
            for name, value in before.items():
                core.setProperty("Cam", name, value)
        else:
            core.loadPyDevice("Cam", device)
        core.initializeDevice("Cam")
        core.setCameraDevice("Cam")
        if adapter[0] == "DemoCamera" and device is None:
            core.setProperty("Cam", "OnCameraCCDXSize", CHIP_WIDTH)
            core.setProperty("Cam", "OnCameraCCDYSize", CHIP_HEIGHT)
        return core

    yield start
    for core in cores:
        core.unloadAllDevices()
        pymmcore.CMMCore.registerCallback(core, None)
    cores.clear()
    core = None
    gc.collect()
    assert running_core() is None, "a core is still held"


def both(core):
    """Make the camera of a core one that stands for two of the same size."""
    core.loadDevice("Second", "DemoCamera", "DCam")
    core.loadDevice("Both", "Utilities", "Multi Camera")
    for label in ("Second", "Both"):
        core.initializeDevice(label)
    core.setProperty("Second", "OnCameraCCDXSize", CHIP_WIDTH)
    core.setProperty("Second", "OnCameraCCDYSize", CHIP_HEIGHT)
    core.setProperty("Both", "Physical Camera 1", "Cam")
    core.setProperty("Both", "Physical Camera 2", "Second")
    core.setCameraDevice("Both")
