/* The peer of benchmarks/relay.py: the plain relay one would write in C.
 *
 * relay ADDRESS PORT STREAMS COPIES: what comes to stream s, at ADDRESS:PORT+s, goes to the port
 * PORT+STREAMS of 127.77.0.1 ... COPIES. epoll, then per ready stream one recvmmsg and one
 * sendmmsg for all its datagrams and destinations.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { SLOTS = 32, SLOT_BYTES = 2048, MOST_COPIES = 100, MOST_MESSAGES = 1024 };

static char slots[SLOTS][SLOT_BYTES];
static struct iovec into[SLOTS], from[SLOTS];
static struct mmsghdr incoming[SLOTS], outgoing[SLOTS * MOST_COPIES];
static struct sockaddr_in destinations[MOST_COPIES];

static int udp_socket(int option) {
    int made = socket(AF_INET, SOCK_DGRAM, 0), bytes = 4 << 20;
    if (made < 0 || setsockopt(made, SOL_SOCKET, option, &bytes, sizeof bytes)) {
        perror("socket");
        exit(1);
    }
    return made;
}

static void lay_out(struct sockaddr_in to, int copies) {
    for (int i = 0; i < copies; i++) {
        destinations[i] = to;
        destinations[i].sin_addr.s_addr = htonl(0x7f4d0001u + i);
    }
    for (int s = 0; s < SLOTS; s++) {
        into[s] = from[s] = (struct iovec){slots[s], SLOT_BYTES};
        incoming[s].msg_hdr = (struct msghdr){.msg_iov = &into[s], .msg_iovlen = 1};
        for (int i = 0; i < copies; i++)
            outgoing[s * copies + i].msg_hdr = (struct msghdr){
                .msg_name = &destinations[i], .msg_namelen = sizeof to,
                .msg_iov = &from[s], .msg_iovlen = 1};
    }
}

static void relay(int in, int out, int copies) {
    int received = recvmmsg(in, incoming, SLOTS, MSG_DONTWAIT, NULL);
    for (int s = 0; s < received; s++)
        from[s].iov_len = incoming[s].msg_len;
    for (int sent = 0, all = received * copies; sent < all;) {
        int left = all - sent;
        int some = sendmmsg(out, outgoing + sent, left > MOST_MESSAGES ? MOST_MESSAGES : left, 0);
        sent += some > 0 ? some : 1;
    }
}

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    int port = atoi(argv[2]), streams = atoi(argv[3]), copies = atoi(argv[4]);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port + streams)};
    if (copies < 1 || copies > MOST_COPIES || !inet_aton(argv[1], &own.sin_addr))
        return 2;
    lay_out(own, copies);
    int ready = epoll_create1(0), out = udp_socket(SO_SNDBUF);
    for (int s = 0; s < streams; s++) {
        int in = udp_socket(SO_RCVBUF);
        own.sin_port = htons(port + s);
        struct epoll_event on = {.events = EPOLLIN, .data.fd = in};
        if (bind(in, (struct sockaddr *)&own, sizeof own) || epoll_ctl(ready, EPOLL_CTL_ADD, in, &on)) {
            perror("bind");
            return 1;
        }
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event some[64];
        int count = epoll_wait(ready, some, 64, -1);
        for (int i = 0; i < count; i++)
            relay(some[i].data.fd, out, copies);
    }
}
