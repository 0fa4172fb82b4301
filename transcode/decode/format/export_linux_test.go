package format

// Spent reports that a process was killed when it had used up its processor time.
var Spent = spent
