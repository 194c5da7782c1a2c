module vpn-operator/testbed/panel

go 1.26.0
