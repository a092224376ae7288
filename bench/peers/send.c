/* The floor of a fan-out: a loop of send() over connected sockets, in the rhythm of the server it is set beside.
 *
 * send FILE CONNECTIONS: prints the port that it listens on, and accepts so many connections. Then for each line
 * "MESSAGES EACH PER_SECOND" of standard input it sends MESSAGES times the bytes of FILE, each time to the next EACH
 * connections, PER_SECOND times a second, and prints "done". It looks at the clock once a millisecond, as the
 * generator does. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void send_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) fail("send");
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    FILE *file = fopen(argv[1], "rb");
    if (!file) fail(argv[1]);
    static char frame[1 << 20];
    size_t size = fread(frame, 1, sizeof frame, file);
    int count = atoi(argv[2]);
    int *connections = calloc((size_t)count, sizeof *connections);

    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096)) fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (int i = 0; i < count; i++) {
        int one = 1;
        connections[i] = accept(listener, NULL, NULL);
        if (connections[i] < 0) fail("accept");
        setsockopt(connections[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }

    long messages, each;
    double per_second;
    while (scanf("%ld %ld %lf", &messages, &each, &per_second) == 3) {
        double began = now();
        long next = 0;
        for (long sent = 0; sent < messages;) {
            long due = (long)((now() - began) * per_second) + 1;
            for (; sent < due && sent < messages; sent++)
                for (long i = 0; i < each; i++, next++) send_all(connections[next % count], frame, size);
            struct timespec millisecond = {0, 1000000};
            if (sent < messages) nanosleep(&millisecond, NULL);
        }
        puts("done");
        fflush(stdout);
    }
    return 0;
}
