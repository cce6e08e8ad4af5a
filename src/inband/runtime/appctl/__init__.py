"""The verbs of ``ovs-appctl`` that people and scripts know from Open vSwitch, with answers in its format."""
