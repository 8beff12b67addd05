// node: one rank's place in the tree of the control plane, served by the rank's control thread.
//
// Connections: a listener for children, open as long as the communicator; one to the parent; one for each child; one or two more for a moment,
// while this rank changes its parent. Messages rise to the root (root.h) from parent to parent. What the root decides descends to all.
//
// Leaving: a rank tells the root, and waits until the root has announced it. Then it says Goodbye to its children, and stays until they have
// another parent, but for three seconds at most.
//
// Another parent: an orphan asks the first rank in tree order that is still there. If none comes before it, it becomes the root. The rank that is
// asked adopts the orphan. If it has children enough, it refers the orphan to one of them that comes before it in tree order. So a parent always
// comes before its children, and no circle can form. A rank with a new parent, and all ranks below it, send their unanswered messages again.
//
// Death: a connection that ends without Goodbye. The parent tells the root; the children tell the ranks below them.
//
// node.cc: the service; node_below.cc: what children say, and leaving; node_above.cc: the parent, and finding another one;
// node_generation.cc: what follows a failure.
#pragma once
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "lib/boot/control.h"
#include "lib/boot/dial.h"
#include "lib/boot/root.h"
#include "lib/boot/server.h"

namespace tutti {

inline constexpr double kAckS = 3;       // for the root to hear that a rank leaves
inline constexpr double kHandOverS = 3;  // for the children of a rank that leaves to find another parent
inline constexpr double kFailedHandOverS = 1;  // the same, when the communicator has failed

class Node final : public Service, public Descent {
 public:
  Node(ControlPlane& control, int rank, int ranks, const Key& secret);

  void on_frame(Peer& peer, const Frame& frame) override;
  void on_closed(Peer& peer) override;
  void on_clock(int64_t now) override;
  int64_t wake_ns() const override;
  void on_stop(bool in_peace) override;
  void on_exhausted(const Status& status) override;
  void on_no_memory() override;
  void add_waits(std::vector<pollfd>& fds) override;
  void on_waits() override;
  void on_leftover(Connection& connection) override;
  bool accepting() const override { return !finished_; }
  bool finished() const override { return finished_; }
  size_t most_unproved() const override { return 256; }

 private:
  struct Child {
    Peer* peer;
    Identity who;
    size_t handed = 0;      // pieces of the round
    bool parting = false;   // has said that it leaves
    bool goodbye = false;   // has been told to find another parent
    bool moved = false;     // has found it
    bool succeeds = false;  // is the next root: stays until the others have moved
    bool answered = true;   // the last Query
  };
  struct Parent {
    Connection connection;
    int rank;
    bool goodbye = false;
    int64_t pong_due_ns = kNever;
  };
  // The next parent. `connection` once it has proved itself.
  struct Next {
    int rank;
    int64_t since_ns;
    bool referred;  // by its parent, which notices its end
    std::optional<Dial> dial;
    std::optional<Connection> connection;
  };
  struct Parting {
    Connection connection;
    int64_t end_ns;
  };

  // ---- node.cc
  void place(Joined joined);
  void obey(Order order);
  void descend(Kind kind, const std::string& payload) override;
  void take_left(const std::string& payload);
  void take_failure(const Cause& cause, bool from_parent);
  void answer(const std::string& query);
  void relay(const std::string& piece);
  void forward(Kind kind, const std::string& payload);

  // ---- node_below.cc
  void enter(Peer& peer, const Frame& frame);
  void adopt(Peer& peer, const Frame& frame);
  Child* child_for(int rank);
  Child* child_of(const Peer& peer);
  bool is_handed(const Child& child) const { return round_whole_ && child.handed == pieces_.size(); }
  void hand_out(Child& child);
  void blame_silent_children(int64_t now);
  void lose_child(const Child& child, bool lost);
  void leave(int64_t now);
  void say_goodbye();
  bool alone() const;
  bool may_go(int64_t now);

  // ---- node_generation.cc
  uint32_t wanted() const { return decided_ ? decided_->number + 1 : 1; }
  void begin_call(int64_t left_ms);
  void rise_call();
  void note_call();
  void take_proposal(const std::string& payload);
  void take_undecided(const std::string& payload);
  void take_decided(const std::string& payload);
  void repeat_generation();
  void probe(int64_t now);
  void step_down();
  Status shunned_text() const;
  Status excluded_text() const;

  // ---- node_above.cc
  void rise(Kind kind, const std::string& payload);
  void rise_until_settled(Kind kind, std::string payload);
  void repeat();
  void settle_gather();
  void read_parent();
  void hear_parent(const Frame& frame);
  void lose_parent();
  void seek_or_stay();
  void release_parent(Kind word = Kind::Moved);
  void watch_parent(int64_t now);
  Cause cause_if_silent(const Order& question, int silent) const;
  void seek(int64_t now);
  void ask(int rank, bool referred);
  void give_up_next(int64_t now);
  void take_leave_of_next(const Deadline& deadline);
  void dial_failed(Dial::State state);
  void mourn_vanished();
  void read_next();
  void ask_root(const Cause& cause);
  void settle_with_next();
  void become_root();
  void read_predecessor();
  std::string died() const;
  void mourn(const Identity& who, const std::string& how);

  ControlPlane& control_;
  const int rank_;
  const Key secret_;
  Roster roster_;
  std::vector<bool> compared_;  // by rank: this rank knows how many calls it had made when it left
  bool placed_ = false, welcomed_ = false, finished_ = false;
  std::optional<Root> root_;  // this rank is the root
  std::vector<Order> early_;  // has to rise when this rank has its place
  std::optional<Cause> failure_;

  size_t awaited_ = 0;  // children that have not come yet, while the ranks join
  std::vector<Child> children_;
  size_t referred_ = 0;  // orphans, to children
  std::vector<std::string> pieces_;  // of the round of an all-gather that is being handed to the children
  bool round_whole_ = true;
  std::string query_;  // the last Query
  int64_t children_answer_by_ns_ = kNever;

  std::optional<Parent> parent_;
  std::optional<Next> next_;
  std::optional<Connection> predecessor_;  // the root before this one, until its children have come here
  std::list<Parting> parting_;
  bool seeking_ = false;  // another parent
  std::optional<Cause> orphaned_;  // while the ranks join: the parent's death, of which the root has to hear
  int64_t seek_at_ns_ = 0;
  int sought_ = -1, refusals_ = 0;  // the rank that was asked last, and how often it was not there
  std::vector<std::pair<int, std::string>> vanished_;  // ranks that were not there, and what to say if they have not left
  std::vector<Order> open_;         // this rank's own, until the answer descends
  std::optional<Order> question_;   // the first that has gone up, own or of another rank
  int64_t answer_by_ns_ = kNever;   // of an own one

  bool crowded_out_ = false;  // has warned that there is no descriptor for a child
  bool leaving_ = false, acknowledged_ = false, told_ = false, handing_over_ = false, passed_on_ = false, gone_ = false;
  int64_t leave_by_ns_ = kNever, stop_by_ns_ = kNever;
  Broken broken_;

  bool regenerating_ = false;  // some rank has called
  bool calls_ = false;         // this rank waits in regenerate()
  bool shunned_ = false;       // this rank was the root, and did not answer
  int64_t call_by_ns_ = kNever, ping_at_ns_ = 0;
  std::optional<Vote> accepted_, decided_;
  std::optional<Next> probe_;  // the root asks whether a rank that does not call is there
  int probed_ = -1;
  int64_t probe_at_ns_ = 0;
};

// Sends what is queued, then waits until the other side has closed: closing before that might reset the connection, and the other side might
// lose the last words. Does not wait beyond `deadline`.
void close_gently(Connection& connection, const Deadline& deadline);

}  // namespace tutti
