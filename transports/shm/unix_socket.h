// unix_socket: an abstract unix socket by which the ranks of one host meet, and messages with descriptors over it.
//
// An abstract name is visible in its network namespace only, and leaves nothing in the file system. If somebody answers at a rank's name,
// that rank runs on this host, or a stranger has taken the name: both sides have to prove who they are (exchange.h).
#pragma once
#include <sys/un.h>

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/descriptor.h"
#include "transports/shm/arena.h"

namespace tutti::shm {

// How long to wait: until the deadline, or until another thread sets `cancel`.
struct Patience {
  Deadline deadline;
  const std::atomic<bool>& cancel;
};
inline constexpr int kSliceMs = 25;  // `cancel` is noticed after this time at most

// Fails if the deadline has passed or `cancel` is set; the error names `what`.
Status may_wait(const Patience& patience, const char* what);
// Waits until poll() reports one of `events`.
Status wait_for(int descriptor, short events, const Patience& patience, const char* what);

// Fills in the abstract name of a rank's socket. Returns its length.
socklen_t abstract_name(const char* prefix, const Token& token, sockaddr_un& name);
// A failure to open a socket.
Status too_many_files(const char* what, int error);

// A socket that listens under a name made from the token.
Result<Descriptor> listen_at(const Token& token);
// A connection to the socket of that name. The descriptor is not open if nobody listens there.
Result<Descriptor> connect_to(const Token& token, const Patience& patience);

// Sends one message of `bytes` bytes with at most kMostDescriptors descriptors.
inline constexpr size_t kMostDescriptors = 128;  // the kernel's limit is 253
Status send_with_descriptors(int socket, const void* message, size_t bytes, std::span<const int> descriptors, const Patience& patience);
// Waits for one message of `bytes` bytes and reads it with its descriptors, at most `most` of them. Errors: SystemError if this process
// cannot hold that many descriptors; RemoteError if the peer hangs up, or sends descriptors where `most` is 0.
Status receive_with_descriptors(int socket, void* message, size_t bytes, size_t most, std::vector<Descriptor>& descriptors,
                                const Patience& patience);
// The same without waiting. Again: the message has not come. If only the descriptors did not fit, `message` is filled all the same.
Progress try_receive(int socket, void* message, size_t bytes, size_t most, std::vector<Descriptor>& descriptors, Status& failure);

}  // namespace tutti::shm
