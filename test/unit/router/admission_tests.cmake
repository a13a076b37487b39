# Admission alone, in the simulated world: virtual time, so that the search for the limit is exact.
sherd_test(test_admission
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_admission.c ${CMAKE_SOURCE_DIR}/router/session/admission.c
  LINK sherd::base
  PRIVATE_INCLUDE ${CMAKE_SOURCE_DIR}/router)
