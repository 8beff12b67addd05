// handles: what a handle means, so that a stale or foreign one is answered and never followed.
//
// A handle is not a pointer but a slot of a fixed table and a generation. acquire() counts a user in, so that remove() (from
// destroy(), or abort() in another thread) returns the object only when nobody is inside a call on it. The calls that move
// data come from one thread at a time and count themselves in with plain stores (enter, leave): remove() pays for the fence.
#pragma once
#include <sched.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <new>

#include "lib/base/fence.h"
#include "lib/base/process.h"

namespace tutti::front {

template <typename Object, uint32_t kSlots>
class HandleTable {
  enum class State : uint8_t { Dead, Owing, Alive };  // Owing: dead, but another thread may still end it once

 public:
  class Slot {
   public:
    // REQUIRES: between acquire() and release(), or enter() and leave().
    Object* object() const { return object_.load(std::memory_order_relaxed); }

   private:
    friend HandleTable;
    std::atomic<bool> taken_{false};
    std::atomic<State> state_{State::Dead};
    std::atomic<uint32_t> users_{0}, callers_{0};
    std::atomic<uint64_t> generation_{0};
    std::atomic<Object*> object_{nullptr};
  };

  // A table that lives as long as the process, and is empty in a forked child: what stands behind its handles are threads,
  // connections and shared counters of the parent, which the child must not touch.
  static HandleTable* make() {
    void* const memory = allocate_wiped(sizeof(HandleTable));
    if (!memory) throw std::bad_alloc();
    return new (memory) HandleTable;
  }

  // 0 when the table is full.
  uintptr_t insert(Object* object) {
    // Round about, so that a slot is not taken again soon and a stale handle stays stale.
    const uint32_t start = next_.fetch_add(1, std::memory_order_relaxed);
    for (uint32_t k = 0; k < kSlots; ++k) {
      const uint32_t i = (start + k) % kSlots;
      Slot& slot = slots_[i];
      bool free = false;
      if (slot.object_.load(std::memory_order_relaxed) || !slot.taken_.compare_exchange_strong(free, true)) continue;
      const uint64_t generation = slot.generation_.load(std::memory_order_relaxed) + 1;
      slot.object_.store(object, std::memory_order_relaxed);
      slot.generation_.store(generation);
      // A release store: a thread that reads Alive with acquire sees the object, its contents and the generation.
      slot.state_.store(State::Alive);
      return encode(i, generation);
    }
    return 0;
  }

  // Null: not a live handle. Otherwise release() must follow.
  Slot* acquire(uintptr_t handle) {
    Slot* const slot = slot_of(handle);
    if (!slot) return nullptr;
    // Sequentially consistent with remove(): either it sees this user, or this thread sees that the slot is dead.
    slot->users_.fetch_add(1);
    if (slot->state_.load() == State::Alive && slot->generation_.load() == generation_of(handle)) return slot;
    slot->users_.fetch_sub(1);
    return nullptr;
  }
  // The same for calls of which only one is made at a time. leave() must follow.
  Slot* enter(uintptr_t handle) {
    Slot* const slot = slot_of(handle);
    // A stale handle must not touch the count of a slot that belongs to another object by now.
    if (!slot || slot->generation_.load(std::memory_order_relaxed) != generation_of(handle)) return nullptr;
    const uint32_t callers = slot->callers_.load(std::memory_order_relaxed);
    slot->callers_.store(callers + 1, std::memory_order_relaxed);
    light_fence();  // pairs with remove()'s heavy fence: it sees this caller, or this caller sees that the slot is dead
    if (slot->state_.load(std::memory_order_acquire) == State::Alive &&
        slot->generation_.load(std::memory_order_relaxed) == generation_of(handle))
      return slot;
    slot->callers_.store(callers, std::memory_order_relaxed);
    return nullptr;
  }
  // Release, here and in release(): remove() reads these counts with acquire and frees the object that the call has used.
  static void leave(Slot& slot) {
    slot.callers_.store(slot.callers_.load(std::memory_order_relaxed) - 1, std::memory_order_release);
  }
  static void release(Slot& slot) { slot.users_.fetch_sub(1, std::memory_order_release); }

  // Takes the object out; the caller owns it now. Waits for users, and must not be one. Null: not a live handle. owes_end: another thread
  // may still end this handle once, by take_end().
  Object* remove(uintptr_t handle, bool owes_end = false) {
    Slot* const slot = slot_of(handle);
    if (!slot || slot->generation_.load() != generation_of(handle)) return nullptr;
    State alive = State::Alive;
    if (!slot->state_.compare_exchange_strong(alive, owes_end ? State::Owing : State::Dead)) return nullptr;
    heavy_fence();
    while (slot->users_.load() != 0 || slot->callers_.load(std::memory_order_acquire) != 0) sched_yield();
    Object* object = slot->object_.exchange(nullptr);
    slot->taken_.store(false);
    return object;
  }
  // Whether the handle was removed with owes_end, and take_end() has not been called yet.
  bool owes_end(uintptr_t handle) {
    Slot* const slot = slot_of(handle);
    return slot && slot->generation_.load() == generation_of(handle) && slot->state_.load() == State::Owing;
  }
  // The same. True for one caller only.
  bool take_end(uintptr_t handle) {
    Slot* const slot = slot_of(handle);
    State owing = State::Owing;
    return slot && slot->generation_.load() == generation_of(handle) && slot->state_.compare_exchange_strong(owing, State::Dead);
  }

 private:
  // Odd, so that no pointer is a handle.
  static uintptr_t encode(uint32_t index, uint64_t generation) {
    return static_cast<uintptr_t>((generation * kSlots + index) * 2 + 1);
  }
  static uint64_t generation_of(uintptr_t handle) { return handle / 2 / kSlots; }
  Slot* slot_of(uintptr_t handle) {
    if (handle % 2 == 0) return nullptr;
    return &slots_[handle / 2 % kSlots];
  }

  std::array<Slot, kSlots> slots_;
  std::atomic<uint32_t> next_{0};
};

}  // namespace tutti::front
