/* Publishes with librabbitmq: persistent, mandatory and confirmed, with a window of unconfirmed
 * messages.
 *
 * Arguments: port, file of samples, messages, window. Prints the measurement as every candidate
 * does. The payloads are JSON already. The program makes the id, the time and the envelope of each
 * message.
 */

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>

#define MAX_SAMPLES 256
#define MAX_BODY 16384
#define RING 65536 /* larger than every window */

struct sample {
    char *event_type, *priority, *payload, *routing_key;
};

static struct sample samples[MAX_SAMPLES];
static size_t sample_count, next_sample;
static amqp_connection_state_t connection;
static uint64_t published, confirmed;
/* The broker has confirmed all tags up to `floor_tag`, and the marked ones after it. */
static uint64_t floor_tag;
static unsigned char marked[RING];

static void fail(const char *error) {
    fprintf(stderr, "librabbitmq: %s\n", error);
    exit(1);
}

static void check_reply(amqp_rpc_reply_t reply, const char *error) {
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) fail(error);
}

static void read_samples(const char *path) {
    static char line[MAX_BODY];
    FILE *file = fopen(path, "r");
    if (!file) fail("cannot read the samples");
    while (fgets(line, sizeof line, file) && sample_count < MAX_SAMPLES) {
        line[strcspn(line, "\n")] = 0;
        struct sample *sample = &samples[sample_count++];
        sample->event_type = strdup(strtok(line, "\t"));
        sample->priority = strdup(strtok(NULL, "\t"));
        sample->payload = strdup(strtok(NULL, "\t"));
        sample->routing_key =
            strdup(strcmp(sample->priority, "ERROR") ? "notifications.info" : "notifications.error");
    }
    fclose(file);
    if (!sample_count) fail("the file holds no samples");
}

/* Writes a UUID of version 4. A pool of random bytes saves system calls. */
static void make_id(char *text) {
    static unsigned char pool[4096];
    static size_t left;
    if (!left) {
        for (size_t at = 0; at < sizeof pool; at += 256)
            if (getrandom(pool + at, 256, 0) != 256) fail("cannot read random bytes");
        left = sizeof pool;
    }
    left -= 16;
    unsigned char *b = pool + left;
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        *text++ = hex[b[i] >> 4];
        *text++ = hex[b[i] & 15];
        if (i == 3 || i == 5 || i == 7 || i == 9) *text++ = '-';
    }
    *text = 0;
}

/* The run of this publisher. */
static char epoch[37];

static void publish(void) {
    static char body[MAX_BODY];
    const struct sample *sample = &samples[next_sample];
    next_sample = (next_sample + 1) % sample_count;
    char id[37], stamp[32];
    make_id(id);
    struct timeval now;
    struct tm parts;
    gettimeofday(&now, NULL);
    gmtime_r(&now.tv_sec, &parts);
    size_t length = strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &parts);
    snprintf(stamp + length, sizeof stamp - length, ".%06ld", (long)now.tv_usec);
    int size = snprintf(body, sizeof body,
                        "{\"message_id\":\"%s\",\"publisher_id\":\"image.host1\",\"event_type\":\"%s\","
                        "\"priority\":\"%s\",\"timestamp\":\"%s\",\"payload\":%s}",
                        id, sample->event_type, sample->priority, stamp, sample->payload);
    amqp_basic_properties_t properties = {0};
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                        AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                        AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG |
                        AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_APP_ID_FLAG;
    properties.content_type = amqp_cstring_bytes("application/json");
    properties.content_encoding = amqp_cstring_bytes("utf-8");
    properties.delivery_mode = 2;
    properties.message_id = amqp_cstring_bytes(id);
    properties.timestamp = (uint64_t)now.tv_sec;
    properties.type = amqp_cstring_bytes(sample->event_type);
    properties.app_id = amqp_cstring_bytes("glance-notify");
    amqp_table_entry_t headers[3];
    headers[0].key = amqp_cstring_bytes("glance-notify-epoch");
    headers[0].value.kind = AMQP_FIELD_KIND_UTF8;
    headers[0].value.value.bytes = amqp_cstring_bytes(epoch);
    headers[1].key = amqp_cstring_bytes("glance-notify-lane");
    headers[1].value.kind = AMQP_FIELD_KIND_UTF8;
    headers[1].value.value.bytes = amqp_cstring_bytes(sample->routing_key);
    headers[2].key = amqp_cstring_bytes("glance-notify-number");
    headers[2].value.kind = AMQP_FIELD_KIND_I64;
    headers[2].value.value.i64 = (int64_t)published + 1;
    properties.headers.num_entries = 3;
    properties.headers.entries = headers;
    amqp_bytes_t bytes = {(size_t)size, body};
    if (amqp_basic_publish(connection, 1, amqp_cstring_bytes("glance"),
                           amqp_cstring_bytes(sample->routing_key), 1, 0, &properties, bytes))
        fail("cannot publish");
    published++;
}

static void confirm(uint64_t tag) {
    if (tag <= floor_tag || marked[tag % RING]) return;
    marked[tag % RING] = 1;
    confirmed++;
}

/* Reads one answer of the broker. */
static void read_answer(void) {
    amqp_frame_t frame;
    amqp_maybe_release_buffers(connection);
    if (amqp_simple_wait_frame(connection, &frame)) fail("lost the connection");
    if (frame.frame_type != AMQP_FRAME_METHOD) return;
    if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
        fail("the broker did not acknowledge a message");
    amqp_basic_ack_t *ack = frame.payload.method.decoded;
    uint64_t first = ack->multiple ? floor_tag + 1 : ack->delivery_tag;
    for (uint64_t tag = first; tag <= ack->delivery_tag; tag++) confirm(tag);
    while (marked[(floor_tag + 1) % RING]) marked[++floor_tag % RING] = 0;
}

static void publish_all(uint64_t count, uint64_t window) {
    uint64_t end = published + count;
    while (published < end) {
        while (published - confirmed >= window) read_answer();
        publish();
    }
    while (confirmed < published) read_answer();
}

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static long peak(void) {
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %ld", &kib);
    if (status) fclose(status);
    return kib;
}

int main(int count, char **arguments) {
    if (count != 5) fail("usage: PORT SAMPLES MESSAGES WINDOW");
    read_samples(arguments[2]);
    uint64_t messages = strtoull(arguments[3], NULL, 10);
    uint64_t window = strtoull(arguments[4], NULL, 10);
    connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    if (!socket || amqp_socket_open(socket, "127.0.0.1", atoi(arguments[1])))
        fail("cannot connect to the broker");
    check_reply(amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"),
                "authentication failed");
    amqp_channel_open(connection, 1);
    check_reply(amqp_get_rpc_reply(connection), "cannot open a channel");
    amqp_confirm_select(connection, 1);
    check_reply(amqp_get_rpc_reply(connection), "cannot enable confirms");
    make_id(epoch);
    publish_all(messages / 10, window);
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    publish_all(messages, window);
    printf("{\"messages\": %llu, \"seconds\": %.9f, \"cpu\": %.9f, \"peak\": %ld}\n",
           (unsigned long long)messages, seconds(CLOCK_MONOTONIC) - start,
           seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, peak() * 1024);
    amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(connection);
    return 0;
}
