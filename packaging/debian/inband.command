#!/usr/bin/python3
import sys

from inband.cli import main

sys.exit(main())
