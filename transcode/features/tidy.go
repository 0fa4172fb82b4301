package features

import (
	"math"
	"reflect"
)

// decimals is how finely numbers are written: about what a float32 knows of
// numbers around one, and a tenth of a millisecond of seconds.
const decimals = 4

// Tidy makes every number of the document that v points to fit to be written as
// JSON: NaN and infinities become null where null is possible, and zero elsewhere;
// numbers are rounded to four decimals, small ones to four digits.
func Tidy(v any) { tidy(reflect.ValueOf(v).Elem()) }

func tidy(v reflect.Value) {
	switch v.Kind() {
	case reflect.Float64, reflect.Float32:
		x := v.Float()
		if !finite(x) {
			x = 0
		}
		if v.Kind() == reflect.Float64 {
			x = round(x)
		}
		v.SetFloat(x)
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if e := v.Elem(); e.CanFloat() && !finite(e.Float()) {
			v.SetZero()
			return
		}
		tidy(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			tidy(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			tidy(v.Index(i))
		}
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// round keeps four decimals, and four digits of what is smaller than one.
func round(x float64) float64 {
	digits := decimals
	if size := math.Abs(x); size > 0 && size < 1 {
		digits = min(decimals+int(-math.Floor(math.Log10(size)))-1, 12)
	}
	scale := math.Pow10(digits)
	return math.Round(x*scale) / scale
}
