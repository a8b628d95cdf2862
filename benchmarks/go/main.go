// A WHEP server on Pion, the WebRTC library that MediaMTX sends with: a peer of the benches.
//
// In: RTP (H.264) on a UDP port; offers by POST. Out: one JSON line with both ports, then SRTP.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
)

const h264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"

func main() {
	track, err := webrtc.NewTrackLocalStaticRTP(
		webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: h264},
		"video", "bench")
	check(err)
	source, address := listen()
	go forward(source, track)
	port, _ := listen()
	api := engine(port)
	web, err := net.Listen("tcp4", "127.0.0.1:0")
	check(err)
	check(json.NewEncoder(os.Stdout).Encode(map[string]int{
		"rtp": address.Port, "http": web.Addr().(*net.TCPAddr).Port}))
	check(http.Serve(web, http.HandlerFunc(func(answer http.ResponseWriter, asked *http.Request) {
		offer, err := io.ReadAll(asked.Body)
		check(err)
		_, err = io.WriteString(answer, connect(api, track, string(offer)))
		check(err)
	})))
}

// engine has NACK, RFC 4588 and reports on, and one UDP port for all viewers.
func engine(port *net.UDPConn) *webrtc.API {
	media, used := &webrtc.MediaEngine{}, &interceptor.Registry{}
	check(media.RegisterDefaultCodecs())
	check(webrtc.RegisterDefaultInterceptors(media, used))
	settings := webrtc.SettingEngine{}
	settings.SetLite(true)
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetICEUDPMux(webrtc.NewICEUDPMux(nil, port))
	return webrtc.NewAPI(webrtc.WithMediaEngine(media),
		webrtc.WithInterceptorRegistry(used), webrtc.WithSettingEngine(settings))
}

// connect answers a viewer's offer.
func connect(api *webrtc.API, track *webrtc.TrackLocalStaticRTP, offer string) string {
	peer, err := api.NewPeerConnection(webrtc.Configuration{})
	check(err)
	sender, err := peer.AddTrack(track)
	check(err)
	go func() { // interceptors see what is read
		for feedback := make([]byte, 1500); err == nil; {
			_, _, err = sender.Read(feedback)
		}
	}()
	check(peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}))
	answer, err := peer.CreateAnswer(nil)
	check(err)
	gathered := webrtc.GatheringCompletePromise(peer)
	check(peer.SetLocalDescription(answer))
	<-gathered
	return peer.LocalDescription().SDP
}

// forward gives the track what is RTP and no RTCP (RFC 5761).
func forward(source *net.UDPConn, track *webrtc.TrackLocalStaticRTP) {
	packet := make([]byte, 2048)
	for {
		size, _, err := source.ReadFromUDP(packet)
		check(err)
		if size > 12 && (packet[1] < 192 || packet[1] > 223) {
			_, err = track.Write(packet[:size])
			check(err)
		}
	}
}

func listen() (*net.UDPConn, *net.UDPAddr) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(err)
	check(conn.SetReadBuffer(1 << 21))
	return conn, conn.LocalAddr().(*net.UDPAddr)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
