#!/usr/bin/env python3
"""Makes a model pack of MusiCNN (Jordi Pons, ISC licence) out of its Python package.

    pip download --no-deps musicnn==0.1.0
    python3 musicnn.py musicnn-0.1.0-py3-none-any.whl PACK [MSD_musicnn|MTT_musicnn]

PACK becomes a directory with model.json and weights.f32. Needs nothing but Python:
the weights are read out of the TensorFlow checkpoint as they lie there. The vector
is the layer before the tags, of 200 numbers, each standardised as it was over the
music that the network was trained with.
"""

import hashlib
import json
import os
import struct
import sys
import zipfile


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def span(data, at):
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return (offset, size), at


def entries(table, where):
    """Keys and values of one block of a sorted string table."""
    offset, size = where
    if table[offset + size] != 0:
        raise ValueError("the checkpoint's index is compressed")
    block = table[offset:offset + size]
    end = len(block) - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    at, key = 0, b""
    while at < end:
        shared, at = varint(block, at)
        own, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at:at + own]
        at += own
        yield key, block[at:at + length]
        at += length


def fields(message):
    """The fields of a protocol buffer: numbers and bytes by tag."""
    at, found = 0, {}
    while at < len(message):
        tag, at = varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(message, at)
        elif kind == 2:
            length, at = varint(message, at)
            value = message[at:at + length]
            at += length
        else:
            size = {1: 8, 5: 4}[kind]
            value = message[at:at + size]
            at += size
        found[tag >> 3] = value
    return found


def tensors(index, data):
    """Every tensor of a checkpoint by its name, as little-endian float32."""
    _, at = span(index[-48:], 0)
    top, _ = span(index[-48:], at)
    found = {}
    for _, where in entries(index, top):
        for name, entry in entries(index, span(where, 0)[0]):
            field = fields(entry)
            if name and field.get(1) == 1:  # float32
                offset = field.get(4, 0)
                found[name.decode()] = data[offset:offset + field.get(5, 0)]
    return found


class Pack:
    """Layers and the weights they take, in their order."""

    def __init__(self, source):
        self.source, self.layers, self.weights = source, [], b""
        self.convolutions = self.norms = self.denses = 0

    def numbered(self, kind, number):
        return kind if number == 0 else "%s_%d" % (kind, number)

    def layer(self, name, op, **what):
        self.layers.append({"name": name, "op": op, **what})
        return name

    def take(self, of, *parts):
        for part in parts:
            self.weights += self.source[of + "/" + part]

    def conv(self, name, of, filters, kernel, padding):
        self.take(self.numbered("conv2d", self.convolutions), "kernel", "bias")
        self.convolutions += 1
        return self.layer(name, "conv2d", inputs=[of], filters=filters, kernel=kernel, padding=padding, activation="relu")

    def norm(self, name, of, plain=False):
        norm = self.numbered("batch_normalization", self.norms)
        self.norms += 1
        if plain:  # without scale and shift: standardised
            n = len(self.source[norm + "/gamma"]) // 4
            self.weights += struct.pack("<%df" % n, *[1.0] * n) + bytes(4 * n)
        else:
            self.take(norm, "gamma", "beta")
        self.take(norm, "moving_mean", "moving_variance")
        return self.layer(name, "batchnorm", inputs=[of], epsilon=1e-3)

    def dense(self, name, of, units):
        self.take(self.numbered("dense", self.denses), "kernel", "bias")
        self.denses += 1
        return self.layer(name, "dense", inputs=[of], units=units, activation="relu")


FRAMES, BANDS = 187, 96


def front(p):
    """Filters over bands (timbre) and over time, each at its highest band."""
    p.norm("normal", "input")
    heard = []
    for bands in (38, 67):
        name = "timbre%d" % bands
        p.conv(name, "normal", 204, [7, bands], [3, 3, 0, 0])
        p.norm(name + "-norm", name)
        heard.append(p.layer(name + "-max", "maxpool", kernel=[1, BANDS - bands + 1]))
    for frames in (128, 64, 32):
        name = "time%d" % frames
        before = (frames - 1) // 2
        p.conv(name, "normal", 51, [frames, 1], [before, frames - 1 - before, 0, 0])
        p.norm(name + "-norm", name)
        heard.append(p.layer(name + "-max", "maxpool", kernel=[1, BANDS]))
    p.layer("front", "concat", inputs=heard)
    return p.layer("front-plane", "reshape", shape=[FRAMES, 561, 1])


def middle(p, of):
    """Three layers over time; the last two are added to what they start from."""
    heard, width = [], 561
    for i in (1, 2, 3):
        name = "middle%d" % i
        p.conv(name, of, 64, [7, width], [3, 3, 0, 0])
        p.norm(name + "-norm", name)
        plane = p.layer(name + "-plane", "reshape", shape=[FRAMES, 64, 1])
        of = plane if i == 1 else p.layer(name + "-sum", "add", inputs=[plane, of])
        heard.append(of)
        width = 64
    return heard


def back(p, heard):
    flat = [p.layer(of + "-flat", "reshape", inputs=[of], shape=[FRAMES, 1, width]) for of, width in heard]
    p.layer("all", "concat", inputs=flat)
    planes = []
    for op in ("globalmax", "globalmean"):
        p.layer(op, op, inputs=["all"])
        planes.append(p.layer(op + "-plane", "reshape", shape=[1, 753, 1]))
    p.layer("pooled", "concat", inputs=planes)
    p.layer("pooled-flat", "reshape", shape=[1, 1, 1506])
    p.norm("pooled-norm", "pooled-flat")
    p.dense("place", "pooled-norm", 200)
    p.norm("standard", "place", plain=True)


def main():
    wheel, to = sys.argv[1:3]
    name = sys.argv[3] if len(sys.argv) > 3 else "MSD_musicnn"
    with zipfile.ZipFile(wheel) as z:
        read = lambda part: z.read("musicnn/%s/%s" % (name, part))
        p = Pack(tensors(read(".index"), read(".data-00000-of-00001")))
    plane = front(p)
    back(p, [(plane, 561)] + [(of, 64) for of in middle(p, plane)])
    os.makedirs(to, exist_ok=True)
    with open(os.path.join(to, "weights.f32"), "wb") as f:
        f.write(p.weights)
    manifest = {
        "format": "melodyud.model.v1",
        "name": name.lower().replace("_", "-"),
        "version": "1",
        "licence": "ISC",
        "source": "musicnn 0.1.0 on PyPI, (c) Music Technology Group, Universitat Pompeu Fabra 2019, by Jordi Pons",
        "weights": "weights.f32",
        "sha256": hashlib.sha256(p.weights).hexdigest(),
        "input": {
            "sample_rate": 16000, "fft": 512, "hop": 256, "mel": "slaney", "bands": BANDS,
            "low_hz": 0, "high_hz": 8000, "gain": 10000, "frames": FRAMES, "patches": 6,
        },
        "layers": p.layers,
        "output": "standard",
    }
    with open(os.path.join(to, "model.json"), "w") as f:
        json.dump(manifest, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
