package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/quic-go/quic-go/quicvarint"
)

// The public Hysteria 2 protocol, as far as a TCP proxy needs it.
const (
	authHost   = "hysteria"
	authPath   = "/auth"
	statusOK   = 233
	headerAuth = "Hysteria-Auth"
	headerUDP  = "Hysteria-UDP"
	headerRate = "Hysteria-CC-RX"
	headerPad  = "Hysteria-Padding"

	frameTCPRequest = 0x401

	maxAddressLength = 2048
	maxPaddingLength = 4096

	// Application error codes with which a server closes a QUIC connection.
	closeNoError      = 0x100
	closeProtocol     = 0x101
	closeTrafficLimit = 0x107
)

var errBadRequest = errors.New("malformed proxy request")

// readTCPRequest reads what follows the frame type: address and padding.
func readTCPRequest(r *bufio.Reader) (string, error) {
	length, err := quicvarint.Read(r)
	if err != nil {
		return "", err
	}
	if length == 0 || length > maxAddressLength {
		return "", fmt.Errorf("%w: address of %d bytes", errBadRequest, length)
	}
	address := make([]byte, length)
	if _, err := io.ReadFull(r, address); err != nil {
		return "", err
	}
	padding, err := quicvarint.Read(r)
	if err != nil {
		return "", err
	}
	if padding > maxPaddingLength {
		return "", fmt.Errorf("%w: padding of %d bytes", errBadRequest, padding)
	}
	if _, err := io.CopyN(io.Discard, r, int64(padding)); err != nil {
		return "", err
	}
	return string(address), nil
}

// appendTCPRequest is the client's side of readTCPRequest, frame type included.
func appendTCPRequest(b []byte, address string) []byte {
	b = quicvarint.Append(b, frameTCPRequest)
	b = quicvarint.Append(b, uint64(len(address)))
	b = append(b, address...)
	return quicvarint.Append(b, 0)
}

// appendTCPResponse encodes status, message and padding.
func appendTCPResponse(b []byte, ok bool, message string, padding []byte) []byte {
	if ok {
		b = append(b, 0)
	} else {
		b = append(b, 1)
	}
	b = quicvarint.Append(b, uint64(len(message)))
	b = append(b, message...)
	b = quicvarint.Append(b, uint64(len(padding)))
	return append(b, padding...)
}

// readTCPResponse is the client's side of appendTCPResponse.
func readTCPResponse(r *bufio.Reader) (bool, string, error) {
	status, err := r.ReadByte()
	if err != nil {
		return false, "", err
	}
	var fields [2][]byte
	for i := range fields {
		length, err := quicvarint.Read(r)
		if err != nil {
			return false, "", err
		}
		if length > maxPaddingLength {
			return false, "", errBadRequest
		}
		fields[i] = make([]byte, length)
		if _, err := io.ReadFull(r, fields[i]); err != nil {
			return false, "", err
		}
	}
	return status == 0, string(fields[0]), nil
}
