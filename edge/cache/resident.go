package cache

// Resident appends to parts where length bytes of an object from offset are in
// memory, if all of them are: it waits for nothing, and nobody may write to them. It
// counts as a read.
func (c *Cache) Resident(parts [][]byte, key string, offset, length int64) ([][]byte, bool) {
	before := len(parts)
	for end := offset + length; offset < end; {
		index := offset / c.config.Block
		e, ok := c.lookup(block{key, index})
		within := offset - index*c.config.Block
		if !ok || within >= int64(len(e.data)) {
			return parts[:before], false
		}
		data := e.data[within:]
		data = data[:min(int64(len(data)), end-offset)]
		parts = append(parts, data)
		offset += int64(len(data))
	}
	c.meters.memory.Add(float64(len(parts) - before))
	return parts, true
}
