// boot: how ranks find one another, prove that they belong together, and hear of one another's failures.
//
// UniqueId = the address of a rendezvous (a listening TCP socket) + a 32-byte secret + a checksum. join() goes through two
// authenticated servers of the same kind: the rendezvous in the process that made the id introduces the ranks and closes. Then
// every rank serves its children in a tree that follows hosts, as long as the communicator lives: all-gather of small blobs, abort broadcast,
// questions about who lags behind. A connection that breaks without leave() is a dead rank, and every rank hears of it at once. The
// control plane survives any rank, rank 0 included: when one leaves or dies, the others still hear of one another.
// Each rank has a control thread and 3 descriptors (a listener, a bell, the connection to its parent; rank 0: 2), and one more for each child:
// 4 on its host at most, and 4 on other hosts if it is the lowest rank of its host. When ranks leave or die, the first
// one that remains takes over their children. It has about 12 at most, and refers the others to these.
// Nothing here touches the data path.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/settings.h"
#include "lib/base/status.h"

namespace tutti {

using UniqueId = std::array<char, 128>;

inline constexpr int kMaxRanks = 1024;  // of one communicator

// Makes an id and starts its rendezvous in a thread of this process, which ends when all ranks have been introduced, or the
// attempt failed, or nobody has come within TUTTI_INIT_TIMEOUT. With TUTTI_COMM_ID set: the id is a pure function of that text; no
// rendezvous is started here, rank 0's join() does it.
Result<UniqueId> make_unique_id(const Settings& settings);

// The same, but never from TUTTI_COMM_ID: for the communicators that come of a split or of CommInitAll.
Result<UniqueId> make_child_id(const Settings& settings);

// Takes the secret out of an id, and puts it back. Anybody may see an id without its secret. REQUIRES: without_secret() gets a valid id.
UniqueId without_secret(const UniqueId& id, Key* secret);
Result<UniqueId> with_secret(const UniqueId& open, const Key& secret);

// InvalidArgument unless the bytes are an id, whole and undamaged.
Status check_unique_id(const UniqueId& id);

// For an id that no ranks will meet by (a communicator of one rank needs no one else, or none comes into being): ends its
// rendezvous, which would go on waiting. Does nothing if there is none.
void retire_unique_id(const Settings& settings, const UniqueId& id);

// The next number for a communicator of which this process has rank 0. Any thread.
uint32_t next_comm_number();

// Why a communicator failed; the first cause wins.
struct Cause {
  Code code;
  int32_t rank;      // the guilty rank, -1 if none can be named
  std::string text;  // a whole sentence
};

// What a rank is doing, asked by its control thread when some other rank's operation timed out.
struct Activity {
  uint64_t entered;   // number of the last collective this rank has entered (1, 2, ...; 0: none yet)
  uint64_t finished;  // number of the last collective finished
  std::string text;   // e.g. "in AllReduce (float32, sum, count 1024) [collective #17], waiting for rank 2"
  std::string call = {};  // the collective it is in, as it should read on every rank; "" if in none
  int waits_for = -1;     // the peer of the only Send or Recv that it is in, -1 if there is not just one
  std::string then = {};  // the collective whose number was asked for, as it should read on every rank; "" if not known
};

// What a rank has done when it leaves.
struct Departure {
  uint64_t calls = 0;     // collective calls
  std::string last = {};  // the last of them, as it should read on every rank
  int rank = -1;          // set on the way
};

// The ranks that go on after a failure.
struct Generation {
  std::vector<int> ranks;  // their old numbers, in order: each one's place is its new number
  UniqueId id{};           // by which they meet
};

// One rank's side of the control plane of one communicator. Methods are for the communicator's thread unless said otherwise.
class Control {
 public:
  struct Callbacks {
    std::function<void(const Cause&)> on_abort;   // control thread; at most once, maybe before join() returns; must not block
    std::function<Activity(uint64_t number)> activity;  // control thread; must not block; number: the collective to report as `then`, 0: none
  };

  // Blocks until all ranks have joined; `cancel` (set by another thread) ends it early with InvalidUsage "aborted". ranks >= 2.
  // Errors: InvalidArgument (damaged id, rank out of range), InvalidUsage (rank taken, different rank counts), RemoteError
  // (names the ranks that did not come; no rendezvous at the address; wrong secret).
  static Result<std::unique_ptr<Control>> join(const Settings& settings, const UniqueId& id, int rank, int ranks,
                                               Callbacks callbacks, const std::atomic<bool>& cancel);
  virtual ~Control() = default;  // leaves (if leave() was not called: as a death), joins the threads, closes everything

  // The communicator's number, the same on all ranks. Rank 0's process counts its communicators.
  virtual uint32_t number() const = 0;

  // Collective: every rank's blob (64 KiB at most), indexed by rank. After an abort: fails with its cause. `what` names the operation in
  // the text of an error.
  virtual Result<std::vector<std::string>> all_gather(const std::string& blob, Deadline deadline, const std::string& what) = 0;

  // Tells every rank, this one included (through on_abort), that the communicator has failed. Any thread; does not wait.
  virtual void abort(const Cause& cause) = 0;

  // An operation of this rank passed its deadline. The root of the tree asks all ranks what they are doing, finds who lags behind
  // collective number `entered` (0: point to point; then `suspects` are to blame), or who does not answer within a second,
  // or who called something else (then: InvalidUsage), and broadcasts an abort whose text names them. Any thread; does not wait:
  // on_abort will be called.
  virtual void report_timeout(uint64_t entered, const std::vector<int>& suspects, const std::string& text) = 0;

  // This rank has received a message of another call than its own. The root asks all ranks what they called as collective `number`, and
  // broadcasts an abort. The abort's text says which ranks called what, and ends with `which`. If the answers do not differ, the abort is
  // `seen`. Any thread; does not wait: on_abort will be called.
  virtual void report_mismatch(uint64_t number, const std::string& which, const Cause& seen) = 0;

  // Leaves: from now on this rank's disappearance is no failure, and no abort is reported to it. `mine`: what this rank has done, if the
  // communicator has not failed. Returns a rank that left after a different number of collective calls, if this rank knows of one. Of two
  // such ranks the one that leaves later hears of the other.
  // Returns when this rank's children in the tree have another parent: within 2 s, even if ranks do not answer.
  virtual std::optional<Departure> leave(const std::optional<Departure>& mine = {}) = 0;

  // After a failure: agrees with the other ranks on those that go on, and gives all of them the same list and the same new id. All ranks that
  // are still there call it. Those that are dead, have left, or do not call before `deadline` (the earliest of all counts) are not in the
  // list. It takes up to 6 s longer if ranks stop answering meanwhile. May be called again: then only ranks of the last list take part.
  // Errors: InvalidUsage (there was no failure, or this rank has left), RemoteError (the others have agreed without this rank; no
  // agreement in time). The rendezvous of the id is in the process of one of the ranks. Where a network is cut, each side takes the other for
  // dead, and both go on.
  virtual Result<Generation> regenerate(Deadline deadline) = 0;
};

}  // namespace tutti
