/* What a relay is fed with, and who counts what it sends.
 *
 * traffic source ADDRESS PORT STREAMS SECONDS: 30 video frames a second and stream, each seven
 * packets of 1200 bytes and one of 700, sent like an Umbel hop sends them (UDP_SEGMENT), and audio
 * of 180 bytes after every second frame; streams take turns evenly. Says how many packets.
 * traffic sink PORT: takes all datagrams to that port of any address, like an Umbel hop (UDP_GRO);
 * says how many when its input ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PACKET = 1200, FRAME = 7 * PACKET + 700, AUDIO = 180, FRAME_PACKETS = 8, FRAMES_PER_S = 30 };
enum { UDP_LEVEL = 17, SEGMENT = 103, GRO = 104, SLOTS = 32, SLOT_BYTES = 65536 };

static char slots[SLOTS][SLOT_BYTES];

static long source(const char *address, int port, int streams, double seconds) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    inet_aton(address, &to.sin_addr);
    int out = socket(AF_INET, SOCK_DGRAM, 0), size = PACKET;
    if (setsockopt(out, UDP_LEVEL, SEGMENT, &size, sizeof size))
        return -1;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    long packets = 0, ticks = (long)(FRAMES_PER_S * seconds) * streams;
    for (long tick = 0; tick < ticks; tick++) {
        to.sin_port = htons(port + tick % streams);
        if (sendto(out, slots[0], FRAME, 0, (struct sockaddr *)&to, sizeof to) > 0)
            packets += FRAME_PACKETS;
        if (tick / streams % 2 && sendto(out, slots[0], AUDIO, 0, (struct sockaddr *)&to, sizeof to) > 0)
            packets++;
        next.tv_nsec += 1000000000L / FRAMES_PER_S / streams;
        next.tv_sec += next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return packets;
}

static long sink(int port) {
    static struct iovec iovs[SLOTS];
    static struct mmsghdr messages[SLOTS];
    static char controls[SLOTS][64] __attribute__((aligned(8)));
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    int in = socket(AF_INET, SOCK_DGRAM, 0), bytes = 64 << 20, yes = 1;
    if (setsockopt(in, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        setsockopt(in, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (setsockopt(in, UDP_LEVEL, GRO, &yes, sizeof yes) ||
        bind(in, (struct sockaddr *)&own, sizeof own))
        return -1;
    puts("ready");
    fflush(stdout);
    struct pollfd ready[2] = {{.fd = in, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    long packets = 0;
    for (int some = 1; some > 0 || !ready[1].revents;) {
        for (int s = 0; s < SLOTS; s++) {
            iovs[s] = (struct iovec){slots[s], SLOT_BYTES};
            messages[s].msg_hdr = (struct msghdr){.msg_iov = &iovs[s], .msg_iovlen = 1,
                .msg_control = controls[s], .msg_controllen = sizeof controls[s]};
        }
        if (!ready[1].revents)
            poll(ready, 2, -1);
        some = recvmmsg(in, messages, SLOTS, MSG_DONTWAIT, NULL);
        for (int s = 0; s < some; s++) {
            struct cmsghdr *told = CMSG_FIRSTHDR(&messages[s].msg_hdr);
            int size = told ? *(int *)CMSG_DATA(told) : (int)messages[s].msg_len;
            packets += (messages[s].msg_len + size - 1) / size;
        }
        if (some < SLOTS)
            usleep(1000);
    }
    return packets;
}

int main(int argc, char **argv) {
    long packets = -1;
    if (argc == 6 && !strcmp(argv[1], "source"))
        packets = source(argv[2], atoi(argv[3]), atoi(argv[4]), atof(argv[5]));
    else if (argc == 3 && !strcmp(argv[1], "sink"))
        packets = sink(atoi(argv[2]));
    printf("%ld\n", packets);
    return packets < 0;
}
