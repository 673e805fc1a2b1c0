"""All there is to say is in setup.cfg."""

from setuptools import setup

setup()
