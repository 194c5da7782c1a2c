module vpn-operator/testbed/load

go 1.26.0
