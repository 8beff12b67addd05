// door: an abstract unix socket by which the ranks of one host meet, and messages with descriptors over it.
//
// An abstract name is seen in its network namespace only and leaves nothing in the file system. That somebody answers at a rank's name
// shows that it runs here; who it is has to be proved.
#pragma once
#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/descriptor.h"
#include "transports/shm/arena.h"

namespace tutti::shm {

// How long to wait: until the deadline, or until soon after `cancel` is set by another thread.
struct Patience {
  Deadline deadline;
  const std::atomic<bool>& cancel;
};
inline constexpr int kSliceMs = 25;  // how soon `cancel` is seen

// Fails when waiting for `what` has to end.
Status go_on(const Patience& patience, const char* what);
// Until poll() sees one of `events`.
Status wait_for(int descriptor, short events, const Patience& patience, const char* what);

// A socket that listens under a name made from the token.
Result<Descriptor> listen_at(const Token& token);
// A connection to whoever listens there; not open if nobody does.
Result<Descriptor> call(const Token& token, const Patience& patience);

// Sends `bytes` bytes in one message with descriptors, kMostDescriptors at most.
inline constexpr size_t kMostDescriptors = 128;  // the kernel's limit is 253
Status send_with_descriptors(int socket, const void* message, size_t bytes, std::span<const int> descriptors, const Patience& patience);
// Reads one message of `bytes` bytes, and the descriptors that came with it, `most` of them at most. Waits. Errors: SystemError if this
// process has no room for the descriptors, RemoteError for what is the other's fault, `most` exceeded where it is 0.
Status receive_with_descriptors(int socket, void* message, size_t bytes, size_t most, std::vector<Descriptor>& descriptors,
                                const Patience& patience);
// The same without waiting. Again: it has not come. The bytes are there also when only the descriptors were too many.
Progress try_receive(int socket, void* message, size_t bytes, size_t most, std::vector<Descriptor>& descriptors, Status& failure);

}  // namespace tutti::shm
