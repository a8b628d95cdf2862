/* Sends each datagram that it receives on. It answers GET on its TCP ports with 200, as a health check.
 * It waits for nobody: who connects and says nothing is closed when MOST_CLIENTS others have come after.
 *
 * UMBEL_ADDRESS is where it listens, UMBEL_PORTS on what: "control:tcp:20000 udp:udp:20002".
 * UMBEL_NEXT_HOPS: where datagrams go: "192.0.2.1:20002 192.0.2.2:20002"; empty: back to their senders.
 * UMBEL_SENDERS: whose datagrams it takes: "192.0.2.3 192.0.2.4"; empty: everybody's with next hops, else
 * nobody's, for the address of a sender may be forged.
 * UMBEL_READY_FILE: written once it listens. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_PORTS = 16, MOST_CLIENTS = 16, MOST_HOPS = 64, MOST_SENDERS = 64 };

static const char OK[] =
    "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"status\":\"ok\"}";

static struct pollfd sockets[MOST_PORTS + MOST_CLIENTS]; /* clients first, then ports */
static int is_udp[MOST_PORTS], ports, next_client;
static struct sockaddr_in hops[MOST_HOPS];
static struct in_addr senders[MOST_SENDERS];
static int hop_count, sender_count;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static struct sockaddr_in at(const char *address, int port) {
  struct sockaddr_in found = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, address, &found.sin_addr) != 1) {
    fprintf(stderr, "relay: %s is no IPv4 address\n", address);
    exit(2);
  }
  return found;
}

static void listen_on(const char *address, const char *transport, int port) {
  struct sockaddr_in here = at(address, port);
  int udp = strcmp(transport, "udp") == 0, one = 1, bytes = 4 << 20;
  int fd = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0 || ports == MOST_PORTS) fail("socket");
  setsockopt(fd, SOL_SOCKET, udp ? SO_RCVBUF : SO_REUSEADDR, udp ? &bytes : &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&here, sizeof here)) fail("bind");
  if (!udp && listen(fd, 16)) fail("listen");
  is_udp[ports] = udp;
  sockets[MOST_CLIENTS + ports++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static int takes(struct in_addr sender) {
  for (int i = 0; i < sender_count; i++)
    if (senders[i].s_addr == sender.s_addr) return 1;
  return sender_count == 0 && hop_count > 0;
}

static void forward(int fd) {
  static char packet[65536];
  struct sockaddr_in sender;
  socklen_t size = sizeof sender;
  struct sockaddr *from = (struct sockaddr *)&sender;
  ssize_t length = recvfrom(fd, packet, sizeof packet, MSG_DONTWAIT, from, &size);
  if (length < 0 || !takes(sender.sin_addr)) return;
  if (hop_count == 0) sendto(fd, packet, length, 0, from, size);
  for (int i = 0; i < hop_count; i++)
    sendto(fd, packet, length, 0, (struct sockaddr *)&hops[i], sizeof hops[i]);
}

static void take_client(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
  if (fd < 0) return;
  struct pollfd *place = &sockets[next_client];
  next_client = (next_client + 1) % MOST_CLIENTS;
  if (place->fd >= 0) close(place->fd);
  *place = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void answer(struct pollfd *client) {
  char request[1024];
  if (recv(client->fd, request, sizeof request, 0) > 0)
    send(client->fd, OK, sizeof OK - 1, MSG_NOSIGNAL);
  close(client->fd);
  client->fd = -1;
}

static void say_ready(const char *path, char *list) {
  char draft[512];
  snprintf(draft, sizeof draft, "%s.draft", path);
  FILE *file = fopen(draft, "w");
  if (file == NULL) fail(draft);
  fprintf(file, "{\"pid\": %d, \"ports\": {", getpid());
  const char *between = "";
  for (char *word = strtok(list, " "); word; word = strtok(NULL, " ")) {
    fprintf(file, "%s\"%.*s\": %s", between, (int)strcspn(word, ":"), word, strrchr(word, ':') + 1);
    between = ", ";
  }
  fprintf(file, "}}\n");
  if (fclose(file) || rename(draft, path)) fail(path);
}

static const char *given(const char *name, const char *otherwise) {
  const char *value = getenv(name);
  return value ? value : otherwise;
}

int main(void) {
  const char *address = given("UMBEL_ADDRESS", "0.0.0.0"), *ready = given("UMBEL_READY_FILE", "");
  char *list = strdup(given("UMBEL_PORTS", "udp:udp:20000")), *rest = NULL;
  char *again = strdup(list), *next = strdup(given("UMBEL_NEXT_HOPS", ""));
  char *from = strdup(given("UMBEL_SENDERS", ""));
  char name[64], transport[8], host[64];
  int port;
  signal(SIGTERM, SIG_DFL);
  for (int i = 0; i < MOST_CLIENTS; i++) sockets[i].fd = -1;
  for (char *word = strtok_r(list, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
    if (sscanf(word, "%63[^:]:%7[^:]:%d", name, transport, &port) == 3)
      listen_on(address, transport, port);
  for (char *word = strtok_r(next, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
    if (sscanf(word, "%63[^:]:%d", host, &port) == 2 && hop_count < MOST_HOPS)
      hops[hop_count++] = at(host, port);
  for (char *word = strtok_r(from, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
    if (sender_count == MOST_SENDERS) {
      fprintf(stderr, "relay: more than %d senders\n", MOST_SENDERS);
      exit(2);
    }
    senders[sender_count++] = at(word, 0).sin_addr;
  }
  if (*ready) say_ready(ready, again);
  for (;;) {
    if (poll(sockets, MOST_CLIENTS + ports, -1) < 0) fail("poll");
    for (int i = 0; i < MOST_CLIENTS; i++)
      if (sockets[i].revents) answer(&sockets[i]);
    for (int i = 0; i < ports; i++) {
      struct pollfd *port = &sockets[MOST_CLIENTS + i];
      if (port->revents & POLLIN) (is_udp[i] ? forward : take_client)(port->fd);
    }
  }
}
