// memory: the front's calls about memory, registration and user-made reduction operators.
#include "lib/base/memory.h"

#include "lib/api/front/entry.h"

namespace tutti::front {
namespace {

Status zero_size(const Caller& caller) { return fail(Code::InvalidArgument, caller.door->names.size, " is 0"); }

}  // namespace

Code mem_alloc(void** pointer, size_t size, const Caller& caller) noexcept {
  return enter(caller, [&]() -> Status {
    if (!pointer) return null_argument(caller.door->names.pointer);
    *pointer = nullptr;
    if (size == 0) return zero_size(caller);
    Result<void*> memory = allocate_shared(size);
    if (!memory.ok()) return memory.status();
    *pointer = memory.value();
    return {};
  });
}

Code mem_free(void* pointer, const Caller& caller) noexcept {
  return enter(caller, [&]() -> Status {
    if (!pointer || free_shared(pointer)) return {};
    const Door& door = *caller.door;
    return fail(Code::InvalidArgument, door.names.pointer, " is not from ", door.mem_alloc, ", or was freed before");
  });
}

Code comm_register(CommHandle comm, void* buffer, size_t size, void** handle, const Caller& caller) noexcept {
  return enter_on(comm, caller, [&](Comm& object) -> Status {
    const Names& names = caller.door->names;
    if (!buffer || !handle) return null_argument(buffer ? names.handle : names.buffer);
    if (size == 0) return zero_size(caller);
    if (reinterpret_cast<uintptr_t>(buffer) + size < size)
      return fail(Code::InvalidArgument, names.size, " ", size, " is larger than the address space");
    *handle = reinterpret_cast<void*>(object.add_region(buffer, size));
    return {};
  });
}

Code comm_deregister(CommHandle comm, void* handle, const Caller& caller) noexcept {
  return enter_on(comm, caller, [&](Comm& object) -> Status {
    if (object.remove_region(reinterpret_cast<uint64_t>(handle))) return {};
    const Door& door = *caller.door;
    return fail(Code::InvalidArgument, door.names.handle, " is not from ", door.comm_register, " on this communicator");
  });
}

Code make_pre_mul_sum(int* op, const void* scalar, int type, int residence, CommHandle comm, const Caller& caller) noexcept {
  return enter_on(comm, caller, [&](Comm& object) -> Status {
    const Door& door = *caller.door;
    if (!op || !scalar) return null_argument(op ? door.names.scalar : door.names.op);
    if (static_cast<size_t>(type) >= door.types.size()) return fail(Code::InvalidArgument, door.names.type, " ", type, " is no type");
    if (residence != 0 && residence != 1)
      return fail(Code::InvalidArgument, door.names.residence, " ", residence, " is none of the two values");
    Result<int> made = object.add_op(scalar, door.types[static_cast<size_t>(type)], residence == 1);
    if (!made.ok()) return made.status();
    *op = made.value();
    return {};
  });
}

Code destroy_op(int op, CommHandle comm, const Caller& caller) noexcept {
  return enter_on(comm, caller, [&](Comm& object) { return object.remove_op(op); });
}

}  // namespace tutti::front
