"""The front end of Open vSwitch's database: ``ovs-vsctl`` and whoever else writes there configures this switch."""
