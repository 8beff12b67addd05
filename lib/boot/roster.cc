// roster: see roster.h.
#include "lib/boot/roster.h"

namespace tutti {

std::vector<std::string> pack_seats(const std::vector<Seat>& seats) {
  std::vector<std::string> pieces;
  for (size_t first = 0; first < seats.size();) {
    std::string body;
    uint32_t count = 0;
    for (; first < seats.size() && body.size() < kMaxBlobBytes / 2; ++first, ++count) body += Writer().seat(seats[first]).bytes();
    pieces.push_back(Writer().u32(count).bytes() + body);
  }
  return pieces;
}

bool Roster::take(const std::string& payload) {
  Reader in(payload);
  const uint32_t count = in.u32();
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    const Seat seat = in.seat();
    if (!in.ok() || !has(seat.who.rank) || place_[static_cast<size_t>(seat.who.rank)] >= 0) return false;
    place_[static_cast<size_t>(seat.who.rank)] = static_cast<int>(order_.size());
    order_.push_back(seat.who.rank);
    introduce(seat);
  }
  return in.ok();
}

void Roster::introduce(const Seat& seat) {
  if (has(seat.who.rank)) seats_[static_cast<size_t>(seat.who.rank)] = seat;
}

int Roster::first_before(int rank) const {
  for (const int other : order_) {
    if (other == rank) break;
    if (here(other)) return other;
  }
  return -1;
}

std::vector<std::string> Roster::packed() const {
  std::vector<Seat> seats;
  for (const int rank : order_) seats.push_back(seat(rank));
  return pack_seats(seats);
}

}  // namespace tutti
