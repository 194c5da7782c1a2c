package main

import (
	"crypto/rand"
	"net"

	"golang.org/x/crypto/blake2b"
)

const saltLength = 8

// salamander wraps a packet connection: every packet is a salt and the payload, XORed with BLAKE2b-256(password ‖ salt).
type salamander struct {
	net.PacketConn
	password []byte
}

func (s *salamander) mask(salt, payload []byte) {
	key := blake2b.Sum256(append(append(make([]byte, 0, len(s.password)+saltLength), s.password...), salt...))
	for i := range payload {
		payload[i] ^= key[i%len(key)]
	}
}

func (s *salamander) ReadFrom(p []byte) (int, net.Addr, error) {
	buffer := make([]byte, len(p)+saltLength)
	for {
		n, from, err := s.PacketConn.ReadFrom(buffer)
		if err != nil {
			return 0, from, err
		}
		if n <= saltLength {
			continue
		}
		s.mask(buffer[:saltLength], buffer[saltLength:n])
		return copy(p, buffer[saltLength:n]), from, nil
	}
}

func (s *salamander) WriteTo(p []byte, to net.Addr) (int, error) {
	packet := make([]byte, saltLength+len(p))
	if _, err := rand.Read(packet[:saltLength]); err != nil {
		return 0, err
	}
	copy(packet[saltLength:], p)
	s.mask(packet[:saltLength], packet[saltLength:])
	if _, err := s.PacketConn.WriteTo(packet, to); err != nil {
		return 0, err
	}
	return len(p), nil
}
