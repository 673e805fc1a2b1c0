"""Makes a photograph of a few MB, the same for the same seed: a lake, mountains, sky and grain."""

from __future__ import annotations

import io
import random
import sys
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

SIZE = (3600, 2400)

#: The sky at the top and at the horizon, the light of the sun, the nearest mountain.
LIGHTS = [
    ((44, 62, 112), (247, 178, 126), (255, 226, 178), (24, 26, 46)),  # dawn
    ((52, 110, 180), (206, 226, 238), (255, 252, 236), (26, 52, 52)),  # noon
    ((38, 28, 74), (232, 104, 96), (255, 196, 132), (18, 12, 32)),  # dusk
]

Colour = tuple[int, int, int]


def photograph(seed: int = 0, size: tuple[int, int] = SIZE) -> bytes:
    """Return a JPEG of 3 to 5 MB."""
    dice = random.Random(seed)
    top, horizon, sun, near = LIGHTS[seed % len(LIGHTS)]
    width, height = size
    shore = int(height * dice.uniform(0.6, 0.68))

    picture = _sky(dice, (width, shore), top, horizon, sun)
    # The farther a ridge is, the more of it is air.
    for distance, base in ((0.82, 0.62), (0.62, 0.72), (0.38, 0.82), (0.1, 0.93)):
        colour = _mix(near, horizon, distance)
        _add_ridge(dice, picture, shore * base, shore * 0.34 * (1.1 - distance / 2), colour)

    scene = Image.new("RGB", size, near)
    scene.paste(picture, (0, 0))
    scene.paste(_reflection(dice, picture, (width, height - shore), near), (0, shore))
    scene = _with_grain(dice, scene)
    file = io.BytesIO()
    scene.save(file, "JPEG", quality=95)
    return file.getvalue()


def _sky(
    dice: random.Random, size: tuple[int, int], top: Colour, low: Colour, sun: Colour
) -> Image.Image:
    # The gradient is steepest at the horizon, as haze is thickest there.
    gradient = Image.linear_gradient("L").point(lambda value: int(255 * (value / 255) ** 1.4))
    sky = ImageOps.colorize(gradient, top, low).resize(size, Image.Resampling.BICUBIC)

    width, height = size
    x, y, radius = width * dice.uniform(0.25, 0.75), height * 0.52, height * 0.9
    glow = Image.new("L", size)
    disc = ImageOps.invert(Image.radial_gradient("L")).point(
        # At the middle of its sides, the gradient has come down to 76.
        lambda value: int(230 * (max(0, value - 76) / 179) ** 1.8)
    )
    disc = disc.resize((int(radius * 2), int(radius * 2)), Image.Resampling.BICUBIC)
    glow.paste(disc, (int(x - radius), int(y - radius)))
    sky.paste(sun, mask=glow)

    clouds = _noise(dice, size, (3, 11)).point(lambda value: max(0, min(190, (value - 128) * 5)))
    fading = ImageOps.invert(Image.linear_gradient("L")).resize(size)
    sky.paste(_mix(sun, (255, 255, 255), 0.35), mask=ImageChops.multiply(clouds, fading))
    return sky


def _add_ridge(
    dice: random.Random, picture: Image.Image, base: float, rise: float, colour: Colour
) -> None:
    width, height = picture.size
    heights = _fractal_line(dice, 1024)
    line = [(width * i / 1024, base - rise * value) for i, value in enumerate(heights)]
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).polygon([(0, height), *line, (width, height)], fill=255)
    # Woods and rock are a little uneven; mist gathers at the foot.
    rock = ImageOps.colorize(
        _noise(dice, picture.size, (24, 40), octaves=6), _mix(colour, (0, 0, 0), 0.3), colour
    )
    mist = Image.linear_gradient("L").point(lambda value: int(110 * (value / 255) ** 3))
    rock.paste(_mix(colour, (255, 255, 255), 0.3), mask=mist.resize(picture.size))
    picture.paste(rock, mask=mask)


def _reflection(
    dice: random.Random, picture: Image.Image, size: tuple[int, int], near: Colour
) -> Image.Image:
    width, height = size
    mirrored = ImageOps.flip(picture).resize((width, int(picture.height * 0.9)))
    water = mirrored.crop((0, 0, width, height))
    # Each line of the water leans a little to the side, the more the nearer it is.
    offset = 0.0
    rippled = water.copy()
    for y in range(height):
        offset = 0.8 * offset + dice.gauss(0, 1) * (1 + 14 * y / height)
        rippled.paste(water.crop((0, y, width, y + 1)), (int(offset), y))
    rippled = rippled.filter(ImageFilter.GaussianBlur(2.2))
    depth = Image.linear_gradient("L").point(lambda value: 50 + value // 3).resize(size)
    rippled.paste(near, mask=depth)
    waves = _noise(dice, size, (5, 90), octaves=4).point(lambda value: max(0, (value - 140) * 2))
    rippled.paste((255, 255, 255), mask=waves.point(lambda value: value // 5))
    return rippled


def _with_grain(dice: random.Random, scene: Image.Image) -> Image.Image:
    """Add what a sensor adds; it is what makes photographs weigh what they do."""
    width, height = scene.size
    grain = Image.frombytes("L", scene.size, dice.randbytes(width * height))
    grain = grain.filter(ImageFilter.GaussianBlur(0.5)).point(lambda v: 128 + (v - 128) // 5)
    return ImageChops.overlay(scene, Image.merge("RGB", [grain] * 3))


def _noise(
    dice: random.Random, size: tuple[int, int], cells: tuple[int, int], octaves: int = 5
) -> Image.Image:
    """Return fractal noise: grids of random values, each finer and fainter than the last."""
    small = (size[0] // 2, size[1] // 2)
    noise = None
    columns, rows = cells
    for octave in range(octaves):
        grid = Image.frombytes("L", (columns, rows), dice.randbytes(columns * rows))
        layer = grid.resize(small, Image.Resampling.BICUBIC)
        noise = layer if noise is None else Image.blend(noise, layer, 0.5 ** (octave * 0.55 + 0.6))
        columns, rows = columns * 2, rows * 2
    return noise.resize(size, Image.Resampling.BILINEAR)


def _fractal_line(dice: random.Random, points: int) -> list[float]:
    """Return the outline of a ridge, by halving and shifting."""
    line = [dice.uniform(-0.2, 0.6), dice.uniform(-0.2, 0.6)]
    shift = 0.75
    while len(line) <= points:
        halves = [(a + b) / 2 + dice.uniform(-shift, shift) for a, b in pairwise(line)]
        line = [value for pair in zip(line, halves, strict=False) for value in pair] + line[-1:]
        shift *= 0.5
    return line


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    return tuple(round(a + (b - a) * share) for a, b in zip(one, other, strict=True))


if __name__ == "__main__":
    # python photograph.py FILE [SEED]
    Path(sys.argv[1]).write_bytes(photograph(int(sys.argv[2]) if len(sys.argv) > 2 else 0))
