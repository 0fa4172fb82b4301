package direct

import (
	"fmt"
	"strconv"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

var (
	errOff = melodyud.Refuse(melodyud.ErrNotFound, "direct.off",
		"This server takes no uploads straight into a bucket. Upload by tus at /v1/uploads.")
	errOtherWay = melodyud.Refuse(melodyud.ErrNotFound, "direct.other-way",
		"This upload does not go straight to the bucket. Go on with it at /v1/uploads.")
	errCompleted = melodyud.Refuse(melodyud.ErrConflict, "direct.completed",
		"This upload is complete and takes no further parts.")
	errLost = melodyud.Refuse(melodyud.ErrInvalid, "direct.lost",
		"The file is not in the bucket any more. Please upload it again.")
)

// check holds what is in the bucket against what the client says it put and against
// what was announced: number, size and ETag of every part, and with them the total.
func (r row) check(parts []objectstore.Part, etags map[int]string) error {
	there := map[int]objectstore.Part{}
	for _, p := range parts {
		there[p.Number] = p
	}
	var missing []int
	for n := 1; n <= r.parts(); n++ {
		p, ok := there[n]
		switch {
		case !ok:
			missing = append(missing, n)
		case p.Size != r.length(n):
			return melodyud.Refuse(melodyud.ErrInvalid, "direct.part-size", fmt.Sprintf(
				"Part %d has %d bytes instead of %d. Send it again.", n, p.Size, r.length(n)))
		case strings.Trim(etags[n], `"`) != p.ETag:
			return melodyud.Refuse(melodyud.ErrInvalid, "direct.etag", fmt.Sprintf(
				"The ETag of part %d is not that of what arrived. List the parts, or send it again.", n))
		}
	}
	if len(missing) > 0 {
		return melodyud.Refuse(melodyud.ErrInvalid, "direct.missing", fmt.Sprintf(
			"%s not arrived. Send what is missing and complete the upload again.", few(missing)))
	}
	if len(etags) != r.parts() || len(there) != r.parts() {
		return melodyud.Refuse(melodyud.ErrInvalid, "direct.parts", fmt.Sprintf(
			"The upload has %d parts, and exactly these belong into the list.", r.parts()))
	}
	return nil
}

// few names some numbers of parts.
func few(numbers []int) string {
	if len(numbers) == 1 {
		return "Part " + strconv.Itoa(numbers[0]) + " has"
	}
	const most = 10
	var names []string
	for _, n := range numbers[:min(len(numbers), most)] {
		names = append(names, strconv.Itoa(n))
	}
	text := "Parts " + strings.Join(names, ", ")
	if more := len(numbers) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + " have"
}
