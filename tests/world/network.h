// network: a network in memory for the ranks of one world. They all run in one thread; the network's order, delays and refusals come from a
// seed.
//
// It keeps what lib/transport/transport.h promises, and hardly more. It refuses messages, shows them in any order, reads the sender's memory
// late, and overwrites messages that have been released. The seed says how often. Ranks of one host use the near transport. It shows
// messages in place, lends the sender's memory, and lets senders write where the reader has offered. All others use the far transport. Its
// messages need memory to land in.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lib/transport/transport.h"
#include "tests/harness/dice.h"

namespace tutti::test::world {

// A few messages later the numbers pass 2^32.
inline constexpr uint32_t kFirstNumber = UINT32_MAX - 5;

// Faults to plant in the network, to see that a world notices them.
enum class Planted {
  None,
  EarlyReuse,    // a sender is told that its payload has been read before that is so
  EarlyRelease,  // a message is overwritten although its reader has not released it
  LostReader,    // one sender is never told that its payload has been read
  LostMessage,   // one message never arrives
};

class Network {
 public:
  // hosts[r]: the host of rank r.
  // first: the number of the first message on each lane.
  Network(uint64_t seed, const std::vector<int>& hosts, Planted planted, uint32_t first = kFirstNumber);
  ~Network();
  Transport& transport_of(int rank, int peer);
  Endpoint& endpoint(int rank, int peer);
  // The same transports, for a communicator that owns what it uses: the near one, then the far one.
  std::vector<std::unique_ptr<Transport>> make_transports(int rank);
  // Moves some of what is under way.
  void move();
  // Tells the rank which of its payloads have been read. What the transports' progress() does.
  void progress(int rank);
  // From now on messages are neither delayed nor refused by chance. Each lane takes one at a time; no transport may take fewer.
  void calm() { calm_ = true; }
  // How many things have happened. While it stays the same, nothing happens.
  uint64_t events() const { return events_; }
  // From now on what these two send to each other fails.
  void cut(int a, int b);
  // Nobody reads or writes the rank's memory any more. The others hear nothing of the rank from now on.
  void silence(int rank);
  bool is_cut(int a, int b) const { return cut_.contains({std::min(a, b), std::max(a, b)}); }
  // "" or a promise that a rank has broken, or a message that nobody has received.
  std::string complaint() const { return complaint_; }
  std::string left_over() const;

 private:
  friend class Line;
  friend class Carrier;
  struct Message {
    uint64_t stamp = 0, signature = 0;
    size_t bytes = 0;
    std::vector<std::byte>* copy = nullptr;     // what the network holds
    const std::byte* lent = nullptr;            // else: the sender's memory
    std::byte* delivered = nullptr;             // else: the reader's, written by the sender
    Outgoing* outgoing = nullptr;               // it is told when `lent` is no longer read
    bool landed = false, shown = false, begun = false, taken_back = false;
    uint64_t seen_from = 0;                     // the step from which it is seen
  };
  // What goes from one rank to another on one channel.
  struct Lane {
    std::map<uint32_t, Message> messages;
    std::map<uint32_t, Incoming*> offered, asked;  // by the reader: offer(), and receive() of the far transport
    std::set<uint32_t> released;                   // beyond `next`
    uint32_t next = 0;                             // all messages before are released
  };
  // A payload that has been read. Its sender learns that from progress().
  struct Told {
    int rank;
    Outgoing* outgoing;
  };

  size_t pair(int from, int to) const { return static_cast<size_t>(from) * ranks_ + static_cast<size_t>(to); }
  Lane& lane(int from, int to, int channel) { return lanes_[pair(from, to) * kLanes + static_cast<size_t>(channel)]; }
  bool are_near(int rank, int peer) const { return hosts_[static_cast<size_t>(rank)] == hosts_[static_cast<size_t>(peer)]; }
  bool refuses() { return !calm_ && dice_.chance(lazy_); }
  // Whether the lane takes message `number` now.
  bool takes(Lane& lane, uint32_t number, const char* deed);
  Message& add(Lane& lane, const Wire& wire, size_t bytes);
  std::vector<std::byte>* hold(size_t bytes);
  void release(int from, int to, Incoming& incoming);
  void land(Message& message, Incoming& incoming);
  void complain(const std::string& text);

  Dice dice_;
  const size_t ranks_;
  const std::vector<int> hosts_;
  const Planted planted_;
  unsigned lazy_;         // percent of refusals
  uint32_t room_;         // messages that a lane takes before the first is released
  uint64_t longest_;      // steps that a message is under way
  bool calm_ = false, planted_once_ = false;
  uint64_t step_ = 0, events_ = 0;
  std::vector<Lane> lanes_;
  std::set<size_t> asking_;  // the lanes where a reader asks for a message
  std::deque<std::vector<std::byte>> held_;
  std::vector<Told> told_;
  std::set<std::pair<int, int>> cut_;
  std::set<int> silent_;
  std::vector<std::unique_ptr<Transport>> transports_;  // near and far of each rank
  std::vector<std::unique_ptr<Endpoint>> lines_;        // [rank * ranks + peer]
  std::string complaint_;
};

}  // namespace tutti::test::world
