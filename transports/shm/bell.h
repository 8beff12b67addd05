// bell: how a rank that sleeps is woken by the ranks of its host.
//
// A rank's bell is a datagram socket with an abstract name made from its token. Whoever has written something for the rank, and sees
// `sleeping` raised in its arena, lowers it and sends an empty datagram. The rank sleeps in poll(), so that it can wait for other transports
// at the same time. A socket needs one descriptor per rank; an eventfd would need one per pair.
// A stranger who sends datagrams wakes a rank in vain, no more.
#pragma once
#include "lib/base/descriptor.h"
#include "transports/shm/arena.h"

namespace tutti::shm {

class Bell {
 public:
  // Not open: it can neither ring nor be rung.
  Bell() = default;
  static Result<Bell> make(const Token& token);

  int descriptor() const { return socket_.get(); }
  // Takes the datagrams that have come.
  void hush() const;
  // Wakes the owner of the arena if it sleeps. Any thread.
  void ring(ArenaHeader& of) const;

 private:
  Descriptor socket_;
};

// Whether it sleeps, for who has just written something for it.
inline bool sleeps(const Doorbell& doorbell) {
  // Pairs with heavy_fence_all() in Shm::arm(): on this core that fence falls either after what was written for the sleeper, whose next
  // look then finds it, or before this look at `sleeping`. This one keeps the compiler from looking before it has written.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return doorbell.sleeping.load(std::memory_order_relaxed) != 0;
}

}  // namespace tutti::shm
