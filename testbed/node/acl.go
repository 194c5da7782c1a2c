package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var errRejected = errors.New("rejected")

// rule is `reject(HOST)`, `reject(HOST, tcp/PORT)` or, to lead an address elsewhere, `direct(HOST, tcp/PORT, ADDRESS)`. HOST is a
// network, an address or a name. It is the part of the public ACL syntax that the operator writes; anything else is an error.
type rule struct {
	reject  bool
	network netip.Prefix
	name    string
	port    int
	hijack  string
}

type acl []rule

var rulePattern = regexp.MustCompile(`^(reject|direct)\(([^,()]+)(?:,\s*tcp(?:/(\d+))?)?(?:,\s*([0-9a-f.:]+))?\)$`)

// parseACL reads rules, one a line.
func parseACL(text string) (acl, error) {
	var rules acl
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			continue
		}
		parts := rulePattern.FindStringSubmatch(line)
		if parts == nil {
			return nil, fmt.Errorf("not a rule that this double knows: %s", line)
		}
		r := rule{reject: parts[1] == "reject", hijack: parts[4]}
		r.port, _ = strconv.Atoi(parts[3])
		if network, err := netip.ParsePrefix(parts[2]); err == nil {
			r.network = network
		} else if address, err := netip.ParseAddr(parts[2]); err == nil {
			r.network = netip.PrefixFrom(address, address.BitLen())
		} else {
			r.name = strings.ToLower(parts[2])
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// destination is where a request for an address is led to: the name is resolved first, and what was compared is what is dialled.
func (rules acl) destination(ctx context.Context, address string) (string, error) {
	if len(rules) == 0 {
		return address, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	found, lookup := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	var to netip.Addr
	if lookup == nil {
		to = found[0].Unmap().WithZone("")
	}
	for _, r := range rules {
		of := r.name == strings.ToLower(host)
		if r.name == "" {
			of = to.IsValid() && r.network.Contains(to)
		}
		if !of || r.port != 0 && port != strconv.Itoa(r.port) {
			continue
		}
		if r.reject {
			return "", errRejected
		}
		if r.hijack != "" {
			return net.JoinHostPort(r.hijack, port), nil
		}
		break
	}
	if lookup != nil {
		return "", lookup
	}
	return net.JoinHostPort(to.String(), port), nil
}
