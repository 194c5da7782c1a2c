package main

import (
	"errors"
	"testing"
)

func TestTheFirstRuleThatMatchesCounts(t *testing.T) {
	rules, err := parseACL("direct(192.0.2.7, tcp, 127.0.0.1)\nreject(127.0.0.0/8)\nreject(::1/128)\nreject(operator, tcp/8081)\nreject(203.0.113.5, tcp/9999)")
	if err != nil {
		t.Fatal(err)
	}
	for asked, led := range map[string]string{
		"127.0.0.1:80":          "",
		"localhost:80":          "",
		"[::ffff:127.0.0.1]:80": "",
		"[::1]:80":              "",
		"operator:8081":         "",
		"203.0.113.5:9999":      "",
		"203.0.113.5:443":       "203.0.113.5:443",
		"192.0.2.7:80":          "127.0.0.1:80",
		"10.0.0.1:80":           "10.0.0.1:80",
	} {
		got, err := rules.destination(t.Context(), asked)
		if got != led || errors.Is(err, errRejected) != (led == "") {
			t.Errorf("%s: %q, %v", asked, got, err)
		}
	}
	for _, line := range []string{"reject(127.0.0.1, udp/53)", "accept(all)", "reject()", "reject(a) # why"} {
		if _, err := parseACL(line); err == nil {
			t.Errorf("%s is taken", line)
		}
	}
}
