// roster: what a rank knows of all ranks: where each listens, and whether it is still there.
//
// The seats come in tree order, from the rendezvous to the root, from there down the tree. Afterwards every rank has the same order, by which
// all find the same parent when theirs is gone: the first rank that is still there.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "lib/boot/boot.h"
#include "lib/boot/wire.h"

namespace tutti {

// The payloads of Kind::Seats.
std::vector<std::string> pack_seats(const std::vector<Seat>& seats);

enum class Presence : uint8_t {
  Here,
  Left,    // has said so
  Dead,    // its connection has ended
  Silent,  // its process may have stopped
};

class Roster {
 public:
  explicit Roster(int ranks) : seats_(static_cast<size_t>(ranks)), presence_(seats_.size()), departures_(seats_.size()) {}

  int ranks() const { return static_cast<int>(seats_.size()); }
  // Adds what a Kind::Seats says. False if it makes no sense.
  bool take(const std::string& payload);
  bool complete() const { return order_.size() == seats_.size(); }
  // Before the seats are known: of the parent, and of the root.
  void introduce(const Seat& seat);

  bool has(int rank) const { return rank >= 0 && rank < ranks(); }
  const Seat& seat(int rank) const { return seats_[static_cast<size_t>(rank)]; }
  const Identity& who(int rank) const { return seat(rank).who; }
  Presence presence(int rank) const { return presence_[static_cast<size_t>(rank)]; }
  bool here(int rank) const { return presence(rank) == Presence::Here; }
  void set(int rank, Presence presence) { presence_[static_cast<size_t>(rank)] = presence; }
  // Of a rank that has left. None if the communicator had failed on it.
  std::optional<Departure>& departure(int rank) { return departures_[static_cast<size_t>(rank)]; }
  // The first rank in tree order that is here, and comes before `rank`. -1: none.
  int first_before(int rank) const;
  // In tree order.
  bool before(int a, int b) const { return place_[static_cast<size_t>(a)] < place_[static_cast<size_t>(b)]; }
  // All seats again, in tree order.
  std::vector<std::string> packed() const;
  const std::vector<int>& order() const { return order_; }

 private:
  std::vector<Seat> seats_;      // by rank
  std::vector<Presence> presence_;
  std::vector<std::optional<Departure>> departures_;
  std::vector<int> order_;
  std::vector<int> place_ = std::vector<int>(seats_.size(), -1);  // by rank, in order_
};

}  // namespace tutti
