// Command peer speaks to a server with quic-go and webtransport-go, whose code shares nothing with Chiron's.
//
//	peer get URL CA           one GET over HTTP/3; prints protocol, status and body
//	peer link URL CA          a WebTransport session with one bidirectional stream: each line of standard input becomes
//	                          a record, each record or datagram that comes a line of standard output
//
// CA is a file of PEM certificates that are trusted.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
	"github.com/quic-go/webtransport-go"
)

func main() {
	if len(os.Args) != 4 {
		fail(fmt.Errorf("usage: %s get|link URL CA", os.Args[0]))
	}
	settings, err := trusting(os.Args[3])
	if err == nil {
		switch os.Args[1] {
		case "get":
			err = get(os.Args[2], settings)
		case "link":
			err = link(os.Args[2], settings)
		default:
			err = fmt.Errorf("unknown command %q", os.Args[1])
		}
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func trusting(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return &tls.Config{RootCAs: pool}, nil
}

func get(url string, settings *tls.Config) error {
	transport := &http3.Transport{TLSClientConfig: settings}
	defer transport.Close()
	response, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%s %d\n%s\n", response.Proto, response.StatusCode, body)
	return err
}

func link(url string, settings *tls.Config) error {
	dialer := webtransport.Dialer{TLSClientConfig: settings}
	defer dialer.Close()
	_, session, err := dialer.Dial(context.Background(), url, nil)
	if err != nil {
		return err
	}
	stream, err := session.OpenStreamSync(context.Background())
	if err != nil {
		return err
	}
	lines := make(chan []byte)
	go receiveRecords(stream, lines)
	go receiveDatagrams(session, lines)
	go func() {
		for line := range lines {
			fmt.Printf("%s\n", line)
		}
	}()
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		record := append(quicvarint.Append(nil, uint64(len(input.Bytes()))), input.Bytes()...)
		if _, err := stream.Write(record); err != nil {
			return err
		}
	}
	return session.CloseWithError(0, "")
}

func receiveRecords(stream io.Reader, lines chan<- []byte) {
	reader := quicvarint.NewReader(stream)
	for {
		size, err := quicvarint.Read(reader)
		if err != nil {
			return
		}
		record := make([]byte, size)
		if _, err := io.ReadFull(reader, record); err != nil {
			return
		}
		lines <- record
	}
}

func receiveDatagrams(session *webtransport.Session, lines chan<- []byte) {
	for {
		datagram, err := session.ReceiveDatagram(context.Background())
		if err != nil {
			return
		}
		lines <- datagram
	}
}
