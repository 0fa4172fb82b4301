package web

// HandlerOf lets the tests serve a page of their own making.
var HandlerOf = handlerOf
