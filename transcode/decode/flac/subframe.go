package flac

import "errors"

var (
	errSubframe  = errors.New("subframe has a reserved value")
	errPartition = errors.New("partitions of the residual do not fit the block")
	errPredictor = errors.New("predictor does not fit the block")
)

// subframe decodes one channel of a block, RFC 9639 §9.2.
func (b *bitReader) subframe(dst []int32, depth uint) error {
	if b.bits(1) != 0 {
		return errSubframe
	}
	kind, wasted := b.bits(6), uint(0)
	if b.bits(1) == 1 {
		wasted = uint(min(b.unary(), 32)) + 1
	}
	if wasted >= depth {
		return errSubframe
	}
	if err := b.prediction(dst, kind, depth-wasted); err != nil {
		return err
	}
	if wasted > 0 {
		for i := range dst {
			dst[i] <<= wasted
		}
	}
	return b.fault()
}

func (b *bitReader) prediction(dst []int32, kind uint32, depth uint) error {
	switch {
	case kind == 0:
		value := b.signed(depth)
		for i := range dst {
			dst[i] = value
		}
		return nil
	case kind == 1:
		b.verbatim(dst, depth)
		return nil
	case kind >= 8 && kind <= 12:
		return b.fixed(dst, int(kind-8), depth)
	case kind >= 32:
		return b.linear(dst, int(kind-31), depth)
	}
	return errSubframe
}

func (b *bitReader) verbatim(dst []int32, depth uint) {
	for i := range dst {
		dst[i] = b.signed(depth)
	}
}

func (b *bitReader) fixed(dst []int32, order int, depth uint) error {
	if order > len(dst) {
		return errPredictor
	}
	b.verbatim(dst[:order], depth)
	if err := b.residual(dst, order); err != nil {
		return err
	}
	restoreFixed(dst, order)
	return nil
}

const maxOrder = 32

func (b *bitReader) linear(dst []int32, order int, depth uint) error {
	if order > len(dst) {
		return errPredictor
	}
	b.verbatim(dst[:order], depth)
	precision := uint(b.bits(4)) + 1
	shift := b.signed(5)
	if precision == 16 || shift < 0 {
		return errPredictor
	}
	var coeffs [maxOrder]int64
	for i := range order {
		coeffs[i] = int64(b.signed(precision))
	}
	if err := b.residual(dst, order); err != nil {
		return err
	}
	restoreLinear(dst, &coeffs, order, uint(shift))
	return nil
}

// residual reads what the predictor left, RFC 9639 §9.2.7.
func (b *bitReader) residual(dst []int32, warmup int) error {
	method, order := b.bits(2), b.bits(4)
	if method > 1 {
		return errSubframe
	}
	width := uint(4 + method)
	size := len(dst) >> order
	if size<<order != len(dst) || size < warmup {
		return errPartition
	}
	for from, to := warmup, size; to <= len(dst); from, to = to, to+size {
		b.partition(dst[from:to], width)
		if err := b.fault(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bitReader) partition(dst []int32, width uint) {
	k := uint(b.bits(width))
	if k != 1<<width-1 {
		b.rice(dst, k)
		return
	}
	b.verbatim(dst, uint(b.bits(5))) // escaped
}

// restoreFixed turns residuals of the polynomial predictors into samples. What
// overflows wraps: the checksum will tell.
func restoreFixed(x []int32, order int) {
	switch order {
	case 1:
		for i := 1; i < len(x); i++ {
			x[i] += x[i-1]
		}
	case 2:
		for i := 2; i < len(x); i++ {
			x[i] += 2*x[i-1] - x[i-2]
		}
	case 3:
		for i := 3; i < len(x); i++ {
			x[i] += 3*(x[i-1]-x[i-2]) + x[i-3]
		}
	case 4:
		for i := 4; i < len(x); i++ {
			x[i] += 4*(x[i-1]+x[i-3]) - 6*x[i-2] - x[i-4]
		}
	}
}

// restoreLinear turns residuals into samples. Nearly all streams have at most 12
// coefficients; those are padded with zeros to 8 or 12.
func restoreLinear(x []int32, coeffs *[maxOrder]int64, order int, shift uint) {
	padded := maxOrder
	switch {
	case order <= 8:
		padded = 8
	case order <= 12:
		padded = 12
	}
	restoreAny(x[:min(len(x), padded)], coeffs[:order], shift)
	switch padded {
	case 8:
		restore8(x, (*[8]int64)(coeffs[:]), shift)
	case 12:
		restore12(x, (*[12]int64)(coeffs[:]), shift)
	default:
		if len(x) > maxOrder {
			restoreRest(x, coeffs[:order], shift)
		}
	}
}

func restoreAny(x []int32, coeffs []int64, shift uint) {
	for i := len(coeffs); i < len(x); i++ {
		x[i] += predicted(x[i-len(coeffs):i], coeffs, shift)
	}
}

func restoreRest(x []int32, coeffs []int64, shift uint) {
	for i := maxOrder; i < len(x); i++ {
		x[i] += predicted(x[i-len(coeffs):i], coeffs, shift)
	}
}

func predicted(past []int32, coeffs []int64, shift uint) int32 {
	sum := int64(0)
	past = past[:len(coeffs)]
	for j, c := range coeffs {
		sum += c * int64(past[len(past)-1-j])
	}
	return int32(sum >> (shift & 63))
}

func restore8(x []int32, c *[8]int64, shift uint) {
	for i := 8; i < len(x); i++ {
		p := (*[8]int32)(x[i-8:])
		sum := c[7]*int64(p[0]) + c[6]*int64(p[1]) + c[5]*int64(p[2]) + c[4]*int64(p[3]) +
			c[3]*int64(p[4]) + c[2]*int64(p[5]) + c[1]*int64(p[6]) + c[0]*int64(p[7])
		x[i] += int32(sum >> (shift & 63))
	}
}

func restore12(x []int32, c *[12]int64, shift uint) {
	for i := 12; i < len(x); i++ {
		p := (*[12]int32)(x[i-12:])
		sum := c[11]*int64(p[0]) + c[10]*int64(p[1]) + c[9]*int64(p[2]) + c[8]*int64(p[3]) +
			c[7]*int64(p[4]) + c[6]*int64(p[5]) + c[5]*int64(p[6]) + c[4]*int64(p[7]) +
			c[3]*int64(p[8]) + c[2]*int64(p[9]) + c[1]*int64(p[10]) + c[0]*int64(p[11])
		x[i] += int32(sum >> (shift & 63))
	}
}
