// memory_api: the C calls about memory, registration and user-made reduction operators.
#include "lib/api/entry.h"
#include "lib/base/memory.h"

using namespace tutti;

extern "C" {

tuttiResult_t tuttiMemAlloc(void** ptr, size_t size) {
  return enter("tuttiMemAlloc", [&]() -> Status {
    if (!ptr) return fail(Code::InvalidArgument, "ptr is NULL");
    *ptr = nullptr;
    if (size == 0) return fail(Code::InvalidArgument, "size is 0");
    Result<void*> memory = allocate_shared(size);
    if (!memory.ok()) return memory.status();
    *ptr = memory.value();
    return {};
  });
}

tuttiResult_t tuttiMemFree(void* ptr) {
  return enter("tuttiMemFree", [&]() -> Status {
    if (!ptr || free_shared(ptr)) return {};
    return fail(Code::InvalidArgument, "ptr is not from tuttiMemAlloc, or was freed before");
  });
}

tuttiResult_t tuttiCommRegister(tuttiComm_t comm, void* buff, size_t size, void** handle) {
  return enter("tuttiCommRegister", [&]() -> Status {
    const CommGuard guard(comm);
    if (!guard) return bad_comm();
    if (!buff || !handle) return fail(Code::InvalidArgument, buff ? "handle" : "buff", " is NULL");
    if (size == 0) return fail(Code::InvalidArgument, "size is 0");
    if (reinterpret_cast<uintptr_t>(buff) + size < size)
      return fail(Code::InvalidArgument, "size ", size, " is larger than the address space");
    *handle = reinterpret_cast<void*>(guard->add_region(buff, size));
    return {};
  });
}

tuttiResult_t tuttiCommDeregister(tuttiComm_t comm, void* handle) {
  return enter("tuttiCommDeregister", [&]() -> Status {
    const CommGuard guard(comm);
    if (!guard) return bad_comm();
    if (guard->remove_region(reinterpret_cast<uint64_t>(handle))) return {};
    return fail(Code::InvalidArgument, "handle is not from tuttiCommRegister on this communicator");
  });
}

tuttiResult_t tuttiRedOpCreatePreMulSum(tuttiRedOp_t* op, void* scalar, tuttiDataType_t datatype,
                                        tuttiScalarResidence_t residence, tuttiComm_t comm) {
  // As numbers: an enum's object must not hold what a careless caller passed.
  return enter("tuttiRedOpCreatePreMulSum", [op, scalar, comm, type = int{datatype}, where = int{residence}]() -> Status {
    const CommGuard guard(comm);
    if (!guard) return bad_comm();
    if (!op || !scalar) return fail(Code::InvalidArgument, op ? "scalar" : "op", " is NULL");
    if (type < 0 || type >= kTypes)
      return fail(Code::InvalidArgument, "datatype ", type, " is no type");
    if (where != tuttiScalarDevice && where != tuttiScalarHostImmediate)
      return fail(Code::InvalidArgument, "residence ", where, " is none of the two values");
    Result<int> made = guard->add_op(scalar, static_cast<Type>(type), where == tuttiScalarHostImmediate);
    if (!made.ok()) return made.status();
    *op = static_cast<tuttiRedOp_t>(made.value());
    return {};
  });
}

tuttiResult_t tuttiRedOpDestroy(tuttiRedOp_t op, tuttiComm_t comm) {
  return enter("tuttiRedOpDestroy", [comm, number = int{op}]() -> Status {
    const CommGuard guard(comm);
    if (!guard) return bad_comm();
    return guard->remove_op(number);
  });
}

}  // extern "C"
