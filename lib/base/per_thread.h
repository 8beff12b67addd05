// per_thread: an object for each thread, made when the thread first asks for it and destroyed when the thread ends.
//
// It replaces `thread_local T` for types with a destructor. For those the C library allocates memory when a thread first uses the variable,
// and ends the process if there is none. Here that is an error like any other. tests/install checks that the library has no such variable.
// The code that destroys the object must stay loaded: the library is linked with -z nodelete.
#pragma once
#include <pthread.h>

#include <memory>
#include <new>

namespace tutti {

template <typename T>
class PerThread {
 public:
  // Throws std::bad_alloc where there is no memory for it, or no thread-specific key is left in this process.
  static T& get() {
    if (t_object) [[likely]]
      return *t_object;
    return make();
  }

 private:
  static T& make() {
    static const pthread_key_t key = [] {
      pthread_key_t made;
      if (pthread_key_create(&made, destroy) != 0) throw std::bad_alloc();
      return made;
    }();
    auto object = std::make_unique<T>();
    if (pthread_setspecific(key, object.get()) != 0) throw std::bad_alloc();
    t_object = object.release();
    return *t_object;
  }
  static void destroy(void* object) {
    t_object = nullptr;  // destructors of other keys may still make calls: they get a new one
    delete static_cast<T*>(object);
  }

  inline static constinit thread_local T* t_object = nullptr;
};

}  // namespace tutti
