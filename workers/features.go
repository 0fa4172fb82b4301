package workers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode"
)

// listener hears what there is to hear, without rendering.
type listener interface {
	Analyzer() (version int, params string)
	Listen(ctx context.Context, f *os.File, progress func(fraction float64)) (transcode.Report, error)
}

// FeatureSet names the folder features/<hash>/ of what an analyzer hears of a
// master. What would hear something else makes another name.
func FeatureSet(analyzer interface{ Analyzer() (int, string) }, masterSHA256 string) melodyud.FeatureSet {
	version, params := analyzer.Analyzer()
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s\n", masterSHA256, version, params))
	return melodyud.FeatureSet{Hash: hex.EncodeToString(sum[:16]), Version: version}
}

// featureFiles are the objects under features/<hash>/. The last of them is stored
// last: where it is, all are.
var featureFiles = []string{analysisFile, waveformFile, overviewFile, featuresFile}

const (
	analysisFile = "analysis.json"
	waveformFile = "waveform.dat"
	overviewFile = "overview.dat"
	featuresFile = "features.json"
)

// writeFeatures writes the feature files of a master into dir.
func writeFeatures(dir, masterSHA256 string, r transcode.Report) error {
	r.Features.SourceSHA256 = masterSHA256
	for name, content := range map[string]any{featuresFile: r.Features, analysisFile: r.Analysis, waveformFile: r.Waveform, overviewFile: r.Overview} {
		raw, ok := content.([]byte)
		if !ok {
			var err error
			if raw, err = json.Marshal(content); err != nil {
				return fmt.Errorf("encode %s: %w", name, err)
			}
			raw = append(raw, '\n')
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// listen hears src, unless that was done before, and stores what it heard.
func (w *worker) listen(ctx context.Context, src *os.File, dir string, master melodyud.Master, set melodyud.FeatureSet, progress func(float64)) error {
	if there, err := w.heard(ctx, set.Hash); there || err != nil {
		return err
	}
	defer w.metrics.stage("listen")()
	if _, err := src.Seek(0, 0); err != nil {
		return fmt.Errorf("rewind master: %w", err)
	}
	report, err := w.c.Engine.Listen(ctx, src, progress)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return onDisk(err)
	}
	if err := writeFeatures(dir, master.SHA256, report); err != nil {
		return onDisk(err)
	}
	return w.storeFeatures(ctx, dir, set.Hash)
}

// storeFeatures puts the feature files in dir under features/<hash>/.
func (w *worker) storeFeatures(ctx context.Context, dir, hash string) error {
	for _, name := range featureFiles {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err == nil {
			err = w.storeFile(ctx, path, "features/"+hash+"/"+name, item{name: name, size: info.Size(), rank: rank(name)})
		}
		if err != nil {
			return fmt.Errorf("store %s: %w", name, err)
		}
	}
	return nil
}

// heard reports whether all of features/<hash>/ is stored.
func (w *worker) heard(ctx context.Context, hash string) (bool, error) {
	for _, name := range featureFiles {
		_, err := w.c.Store.Stat(ctx, "features/"+hash+"/"+name)
		if errors.Is(err, melodyud.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look for features of %s: %w", hash, err)
		}
	}
	return true, nil
}
