// root: what only the root of the tree does. It counts the ranks that have come, collects the blobs of an all-gather, numbers who leaves,
// decides the first failure, and asks all ranks when an operation is late.
//
// The messages of all ranks reach it through their parents. What it decides goes down the same way. A rank becomes the root when all before it in tree order are gone. It
// then knows who has left. The rest is sent again by the ranks that it concerns. An all-gather is not: a new root means that a
// rank has left or died, and then no all-gather can succeed.
#pragma once
#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "lib/boot/agreement.h"
#include "lib/boot/inquiry.h"
#include "lib/boot/roster.h"

namespace tutti {

// The tree below the root, the root's own rank included.
class Descent {
 public:
  virtual ~Descent() = default;
  virtual void descend(Kind kind, const std::string& payload) = 0;
};

// From which round on an all-gather cannot succeed, and the rank that left first.
struct Broken {
  uint32_t round = std::numeric_limits<uint32_t>::max();
  int32_t rank = -1;
};

class Root {
 public:
  Root(Roster& roster, Descent& below, const Broken& broken, int rank, Agreement agreement)
      : roster_(roster), below_(below), broken_(broken), inquiries_(static_cast<uint32_t>(rank) << 20), agreement_(std::move(agreement)) {}
  // Until then all ranks have to come.
  void expect_all(int64_t deadline_ns);
  void take(Kind kind, const std::string& payload);
  void on_clock(int64_t now);
  int64_t wake_ns() const { return std::min({deadline_ns_, inquiry_end_ns_, agreement_.wake_ns()}); }
  bool awaits(int rank) const { return agreement_.awaits(rank); }
  // The communicator has failed: only leaving still matters.
  void end_questions();

 private:
  void admit(const std::string& payload);
  void contribute(const std::string& payload);
  void hand_out();
  void part(const std::string& payload);
  void tell_left();
  void take_vanished(const Cause& cause);
  void blame_late(const std::string& payload);
  void take_timeout(const std::string& payload);
  void take_mismatch(const std::string& payload);
  void begin_inquiry(Inquiry inquiry);
  void ask();
  void end_inquiry();
  void take_answer(const std::string& payload, bool given);
  bool all_answered();
  void fail(const Cause& cause) { below_.descend(Kind::Failure, Writer().cause(cause).bytes()); }

  Roster& roster_;
  Descent& below_;
  Broken broken_;
  bool failed_ = false;
  int64_t deadline_ns_ = kNever;  // of joining
  std::vector<bool> came_;
  int present_ = 0;
  uint32_t round_ = 1;  // being collected
  std::vector<std::optional<std::string>> blobs_;
  int contributions_ = 0;
  std::vector<int> leaving_;  // has yet to be told to all
  std::optional<Inquiry> inquiry_;
  uint32_t inquiries_;  // the last one's number, which no other root has used
  int64_t inquiry_end_ns_ = kNever;
  std::vector<Answer> answers_;
  Agreement agreement_;
};

// The payload of Kind::Left about these ranks, in pieces.
std::vector<std::string> pack_left(Roster& roster, const std::vector<int>& ranks, const Broken& broken);

}  // namespace tutti
