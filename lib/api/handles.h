// handles: what a C handle means, so that a stale or foreign one is answered and never followed.
//
// A handle is not a pointer but a place in a fixed table and a generation. acquire() counts a user in, so that remove() (from
// CommDestroy, or CommAbort in another thread) returns the object only when nobody is inside a call on it. The calls that move
// data come from one thread at a time and count themselves in with plain stores (enter, leave): remove() pays for the fence.
#pragma once
#include <sched.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <new>

#include "lib/base/fence.h"
#include "lib/base/process.h"

namespace tutti {

template <typename Object, uint32_t kPlaces>
class HandleTable {
 public:
  // A table that lives as long as the process, and is empty in a forked child: what stands behind its handles are threads,
  // connections and shared counters of the parent, which the child must not touch.
  static HandleTable* make() {
    void* const memory = allocate_wiped(sizeof(HandleTable));
    if (!memory) throw std::bad_alloc();
    return new (memory) HandleTable;
  }

  // 0 when the table is full.
  uintptr_t insert(Object* object) {
    // Round about, so that a place is not taken again soon and a stale handle stays stale.
    const uint32_t start = next_.fetch_add(1, std::memory_order_relaxed);
    for (uint32_t k = 0; k < kPlaces; ++k) {
      const uint32_t i = (start + k) % kPlaces;
      Place& place = places_[i];
      bool free = false;
      if (place.object.load(std::memory_order_relaxed) || !place.taken.compare_exchange_strong(free, true)) continue;
      const uint64_t generation = place.generation.load(std::memory_order_relaxed) + 1;
      place.object.store(object, std::memory_order_relaxed);
      place.generation.store(generation);
      // A release store: a thread that reads Alive with acquire sees the object, its contents and the generation.
      place.state.store(State::Alive);
      return encode(i, generation);
    }
    return 0;
  }

  // Null: not a live handle. Otherwise release() must follow.
  Object* acquire(uintptr_t handle) {
    Place* place = place_of(handle);
    if (!place) return nullptr;
    // Sequentially consistent with remove(): either it sees this user, or this thread sees that the place is dead.
    place->users.fetch_add(1);
    if (place->state.load() == State::Alive && place->generation.load() == generation_of(handle))
      return place->object.load(std::memory_order_relaxed);
    place->users.fetch_sub(1);
    return nullptr;
  }
  // The same for calls of which only one is made at a time.
  Object* enter(uintptr_t handle) {
    Place* place = place_of(handle);
    // A stale handle must not touch the count of a place that belongs to another object by now.
    if (!place || place->generation.load(std::memory_order_relaxed) != generation_of(handle)) return nullptr;
    const uint32_t callers = place->callers.load(std::memory_order_relaxed);
    place->callers.store(callers + 1, std::memory_order_relaxed);
    light_fence();  // pairs with remove()'s heavy fence: it sees this caller, or this caller sees that the place is dead
    if (place->state.load(std::memory_order_acquire) == State::Alive && place->generation.load(std::memory_order_relaxed) == generation_of(handle))
      return place->object.load(std::memory_order_relaxed);
    place->callers.store(callers, std::memory_order_relaxed);
    return nullptr;
  }
  // Release, here and in release(): remove() reads these counts with acquire and frees the object that the call has used.
  void leave(uintptr_t handle) {
    std::atomic<uint32_t>& callers = place_of(handle)->callers;
    callers.store(callers.load(std::memory_order_relaxed) - 1, std::memory_order_release);
  }

  void release(uintptr_t handle) { place_of(handle)->users.fetch_sub(1, std::memory_order_release); }

  // Takes the object out; the caller owns it now. Waits for users, and must not be one. Null: not a live handle. owes_end: another thread
  // may still end this handle once, by take_end().
  Object* remove(uintptr_t handle, bool owes_end = false) {
    Place* place = place_of(handle);
    if (!place || place->generation.load() != generation_of(handle)) return nullptr;
    State alive = State::Alive;
    if (!place->state.compare_exchange_strong(alive, owes_end ? State::Owing : State::Dead)) return nullptr;
    heavy_fence();
    while (place->users.load() != 0 || place->callers.load(std::memory_order_acquire) != 0) sched_yield();
    Object* object = place->object.exchange(nullptr);
    place->taken.store(false);
    return object;
  }
  // Whether the handle was removed with owes_end, and take_end() has not been called yet.
  bool owes_end(uintptr_t handle) {
    Place* place = place_of(handle);
    return place && place->generation.load() == generation_of(handle) && place->state.load() == State::Owing;
  }
  // The same. True for one caller only.
  bool take_end(uintptr_t handle) {
    Place* place = place_of(handle);
    State owing = State::Owing;
    return place && place->generation.load() == generation_of(handle) && place->state.compare_exchange_strong(owing, State::Dead);
  }

 private:
  enum class State : uint8_t { Dead, Owing, Alive };  // Owing: dead, but another thread may still end it once
  struct Place {
    std::atomic<bool> taken{false};
    std::atomic<State> state{State::Dead};
    std::atomic<uint32_t> users{0}, callers{0};
    std::atomic<uint64_t> generation{0};
    std::atomic<Object*> object{nullptr};
  };

  // Odd, so that no pointer is a handle.
  static uintptr_t encode(uint32_t index, uint64_t generation) {
    return static_cast<uintptr_t>((generation * kPlaces + index) * 2 + 1);
  }
  static uint64_t generation_of(uintptr_t handle) { return handle / 2 / kPlaces; }
  Place* place_of(uintptr_t handle) {
    if (handle % 2 == 0) return nullptr;
    return &places_[handle / 2 % kPlaces];
  }

  std::array<Place, kPlaces> places_;
  std::atomic<uint32_t> next_{0};
};

}  // namespace tutti
