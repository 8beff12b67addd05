// agreement: which ranks go on after a failure, and the id of their next communicator. The root's part; a rank's is in node_generation.cc.
//
//   rank  -> root   Call       wants a next generation; what it has accepted
//   root  -> all    Proposal   when all have called or are gone, or the earliest deadline of a caller has passed: these ranks, this id
//   rank  -> root   Accept     each proposed rank; one that does not is left out of another proposal
//   root  -> all    Decided    when all have accepted
//
// A decision needs the acceptance of every rank on the list. So a new root learns from the callers, who tell it, what they have accepted. If all
// that it can reach have accepted one list, and the others of that list may still be alive, the list may have been decided: the new root decides
// it again. Otherwise nobody has decided, and it proposes anew.
#pragma once
#include <functional>
#include <limits>
#include <map>
#include <optional>

#include "lib/boot/roster.h"

namespace tutti {

inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

struct Vote {
  uint32_t number = 0;  // of the generation: 1, 2, ...
  uint64_t ballot = 0;  // of the proposal; a later root's is higher
  Generation generation{};

  bool has(int rank) const;
};
std::string pack(const Vote& vote);
Vote read_vote(Reader& in);  // look at in.ok()

struct Call {
  int rank = -1;
  uint32_t number = 0;  // of the generation that it wants
  int64_t left_ms = 0;
  std::optional<Vote> accepted{};
};
std::string pack(const Call& call);
Call read_call(Reader& in);

class Descent;

class Agreement {
 public:
  // `last`: the last generation that was decided, as far as this rank knows.
  Agreement(Roster& roster, Descent& below, int rank, const std::function<Result<UniqueId>()>& make_id, const std::optional<Vote>& last);
  void take_call(const std::string& payload);
  void take_accept(const std::string& payload);
  // Another rank knows of a decision.
  void take_decided(const std::string& payload);
  void on_clock(int64_t now);
  int64_t wake_ns() const;
  bool has_called(int rank) const { return calls_.count(rank) > 0; }
  // Some rank has called, and this one has not.
  bool awaits(int rank) const { return !calls_.empty() && may_come(rank) && roster_.here(rank) && calls_.count(rank) == 0; }

 private:
  bool may_come(int rank) const;
  bool gone(int rank) const { return !roster_.here(rank) && calls_.count(rank) == 0; }
  bool decided_by_silent_rank();
  void propose(int64_t now);
  void decide(const Vote& vote);

  Roster& roster_;
  Descent& below_;
  const std::function<Result<UniqueId>()>& make_id_;
  std::optional<Vote> last_;
  std::optional<UniqueId> id_;  // that this rank has made for the next one
  std::map<int, Call> calls_;
  int64_t deadline_ns_;         // for ranks to call
  uint64_t ballot_;
  std::optional<Vote> proposal_;
  std::vector<int> accepted_;
  int64_t accept_by_ns_;
};

}  // namespace tutti
