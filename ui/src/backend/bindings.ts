// Generated from the Rust types: `LUCENCY_WRITE_BINDINGS=1 cargo test -p lucency-assistant bindings`.
// Do not edit.

export type QuestionKind = "presence" | "position" | "modality" | "plane" | "size" | "abnormality" | "organ" | "count" | "attribute" | "colour" | "other";

export type Provenance = { 
/**
 * Version of the application.
 */
app_version: string, 
/**
 * Name of the model pack.
 */
pack_name: string, 
/**
 * Hash of the pack's manifest, which names the hash of every file of the pack.
 */
pack_hash: string, 
/**
 * Name of the adapter that gave the result; none if it is the pack's own.
 */
adapter: string | null, 
/**
 * SHA-256 of the frame's stored values and shape.
 */
pixel_hash: string, 
/**
 * Frame within its file, counted from 1.
 */
frame: number, 
/**
 * How the frame became the network's input.
 */
preprocessing: string, 
/**
 * When the result was made, RFC 3339, UTC.
 */
created: string, 
/**
 * How long it took, milliseconds.
 */
elapsed_ms: number, };

export type RegionDto = { 
/**
 * Left edge.
 */
x: number, 
/**
 * Top edge.
 */
y: number, 
/**
 * Width.
 */
width: number, 
/**
 * Height.
 */
height: number, };

export type HeatMap = { 
/**
 * Cells from top to bottom.
 */
rows: number, 
/**
 * Cells from left to right.
 */
columns: number, 
/**
 * Relevance of each cell, 0 to 1, row by row.
 */
values: Array<number>, 
/**
 * The part of the frame that the cells cover: what the network saw.
 */
region: RegionDto, };

export type Alternative = { 
/**
 * The answer's words.
 */
answer: string, 
/**
 * Calibrated probability, 0 to 1.
 */
confidence: number, };

export type CautionReason = "unknown_words" | "off_topic" | "contradictory" | "other_region" | "not_a_radiograph" | "unlike_training";

export type Caution = { 
/**
 * For programs.
 */
reason: CautionReason, 
/**
 * For people: one sentence or two.
 */
message: string, };

export type Suggestions = { 
/**
 * The part of the body that is shown; empty if it is not known.
 */
region: string, 
/**
 * The model's probability of `region`; none when the file states the body part.
 */
recognised: number | null, 
/**
 * The questions.
 */
questions: Array<string>, };

export type Answer = { 
/**
 * The question as asked.
 */
question: string, 
/**
 * What the question asks for, read off its words.
 */
kind: QuestionKind, 
/**
 * True when the question offers its answers: yes or no, or a choice.
 */
closed: boolean, 
/**
 * The most probable answer; not to be shown as an answer when `abstained`.
 */
answer: string, 
/**
 * Calibrated probability of `answer`, 0 to 1.
 */
confidence: number, 
/**
 * True when `confidence` is below `threshold` or there are `cautions`: the assistant says that it does not know.
 */
abstained: boolean, 
/**
 * Reasons to abstain whatever the confidence is; empty if there are none.
 */
cautions: Array<Caution>, 
/**
 * The pack's threshold on the confidence, 0 to 1.
 */
threshold: number, 
/**
 * The most probable answers, best first, `answer` included.
 */
alternatives: Array<Alternative>, 
/**
 * True when a blank image gets the same answer with about the same confidence.
 */
image_made_no_difference: boolean, 
/**
 * What a blank image would be answered.
 */
blank_answer: string, 
/**
 * Confidence of `blank_answer`, 0 to 1.
 */
blank_confidence: number, 
/**
 * Where the answer's score depends on the image; none with `cautions`, and when its gradient vanishes everywhere.
 */
heat_map: HeatMap | null, 
/**
 * Where the answer came from.
 */
provenance: Provenance, };

export type FindingScore = { 
/**
 * The label.
 */
label: string, 
/**
 * Calibrated probability, 0 to 1; uncalibrated when `Findings::calibrated` is false.
 */
score: number, 
/**
 * True when `score` reaches the label's operating point.
 */
present: boolean, 
/**
 * The label's operating point, 0 to 1.
 */
operating_point: number, };

export type Findings = { 
/**
 * The label set that was scored.
 */
label_set: string, 
/**
 * Each label of the set, highest score first.
 */
findings: Array<FindingScore>, 
/**
 * True when the scores were calibrated on held-out cases.
 */
calibrated: boolean, 
/**
 * What the reader has to know about this label set; empty if nothing.
 */
note: string, 
/**
 * Where the scores came from.
 */
provenance: Provenance, };

export type SimilarCase = { 
/**
 * The case's identifier in its library.
 */
case_id: string, 
/**
 * Cosine similarity of the image embeddings, −1 to 1.
 */
score: number, 
/**
 * The case's labels.
 */
labels: Array<string>, 
/**
 * The case's report.
 */
report: string, 
/**
 * DICOM modality, such as `DX`.
 */
modality: string, 
/**
 * True when the case is a phantom.
 */
synthetic: boolean, };

export type SimilarCases = { 
/**
 * Most similar first.
 */
cases: Array<SimilarCase>, 
/**
 * Name of the library that was searched.
 */
library: string, 
/**
 * Number of cases in that library.
 */
library_size: number, 
/**
 * Where the embedding came from.
 */
provenance: Provenance, };

export type FigureDto = { 
/**
 * What was measured.
 */
measure: string, 
/**
 * Its value.
 */
value: number, 
/**
 * On which data.
 */
data: string, };

export type PackSummary = { 
/**
 * Short name.
 */
name: string, 
/**
 * Title for people.
 */
title: string, 
/**
 * The pack's own version.
 */
version: string, 
/**
 * Hash of the manifest.
 */
hash: string, 
/**
 * Licence of the weights.
 */
licence: string, 
/**
 * What the pack is meant for.
 */
intended_use: string, 
/**
 * True when the pack came with the application.
 */
bundled: boolean, 
/**
 * True when the pack can answer questions.
 */
answers: boolean, 
/**
 * Measured figures.
 */
figures: Array<FigureDto>, };

export type ErrorDto = { 
/**
 * Stable, snake_case word for the cause.
 */
code: string, 
/**
 * What, where, and what to do; never patient data.
 */
message: string, };

export type ProgressDto = { 
/**
 * What is being done.
 */
stage: string, 
/**
 * Units done.
 */
done: number, 
/**
 * Units in all; 0 when unknown.
 */
total: number, 
/**
 * A detail for people.
 */
message: string | null, 
/**
 * Estimated seconds left.
 */
eta_s: number | null, };

export type AppInfo = { 
/**
 * Version of the application.
 */
version: string, 
/**
 * The pack in use; none while it loads or when it could not be loaded.
 */
pack: PackSummary | null, 
/**
 * Why there is no pack.
 */
pack_error: ErrorDto | null, 
/**
 * True when the demo study was found.
 */
demo_available: boolean, 
/**
 * The permanent notice.
 */
research_notice: string, 
/**
 * Files that were given on the command line.
 */
startup_paths: Array<string>, 
/**
 * True when the window was started to show the demo study.
 */
startup_demo: boolean, };

export type SeriesDto = { 
/**
 * Identifier within this session of the application.
 */
id: string, 
/**
 * DICOM modality, such as `CT`; `IMG` for an image file.
 */
modality: string, 
/**
 * Series description.
 */
description: string, 
/**
 * Body part examined.
 */
body_part: string, 
/**
 * View position, such as `PA`; empty if none.
 */
view: string, 
/**
 * Frames in all instances.
 */
frames: number, };

export type StudyDto = { 
/**
 * Identifier within this session of the application.
 */
id: string, 
/**
 * Patient's name, for the overlay only.
 */
patient_name: string, 
/**
 * Patient's identifier, for the overlay only.
 */
patient_id: string, 
/**
 * `M`, `F`, `O` or empty.
 */
sex: string, 
/**
 * Age as in DICOM, such as `054Y`; empty if none.
 */
age: string, 
/**
 * Study date, `YYYY-MM-DD`; empty if none.
 */
date: string, 
/**
 * Study description.
 */
description: string, 
/**
 * True when the study is a phantom.
 */
synthetic: boolean, 
/**
 * The series, in order.
 */
series: Array<SeriesDto>, };

export type RejectedDto = { 
/**
 * The file's name without its folder.
 */
path: string, 
/**
 * Stable word for the cause.
 */
code: string, 
/**
 * What is wrong with the file.
 */
message: string, };

export type OpenReportDto = { 
/**
 * Studies that were opened.
 */
studies: Array<StudyDto>, 
/**
 * Files that were not.
 */
rejected: Array<RejectedDto>, 
/**
 * True when the user stopped it; what was read until then is in `studies`.
 */
cancelled: boolean, };

export type WindowFunctionDto = "LINEAR" | "LINEAR_EXACT" | "SIGMOID";

export type WindowDto = { 
/**
 * Centre, in modality units.
 */
center: number, 
/**
 * Width, in modality units.
 */
width: number, 
/**
 * How values map.
 */
function: WindowFunctionDto, };

export type ModalityDto = { "kind": "identity" } | { "kind": "rescale", 
/**
 * Modality units per stored unit.
 */
slope: number, 
/**
 * Modality value of stored 0.
 */
intercept: number, } | { "kind": "lut", 
/**
 * First stored value mapped.
 */
first: number, 
/**
 * Modality values.
 */
values: Array<number>, };

export type VoiDto = { "kind": "window", 
/**
 * Centre, in modality units.
 */
center: number, 
/**
 * Width, in modality units.
 */
width: number, 
/**
 * How values map.
 */
function: WindowFunctionDto, 
/**
 * The file's explanation; may be empty.
 */
label: string, } | { "kind": "lut", 
/**
 * First modality value mapped.
 */
first: number, 
/**
 * Output values.
 */
values: Array<number>, 
/**
 * Bits of an output value.
 */
bits: number, 
/**
 * The file's explanation; may be empty.
 */
label: string, };

export type ValueKindDto = "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "f64";

export type SpacingKindDto = "calibrated" | "at_detector";

export type SpacingDto = { 
/**
 * Between rows, millimetres.
 */
row_mm: number, 
/**
 * Between columns, millimetres.
 */
column_mm: number, 
/**
 * Where it holds.
 */
kind: SpacingKindDto, };

export type FrameInfo = { 
/**
 * Height.
 */
rows: number, 
/**
 * Width.
 */
columns: number, 
/**
 * 1 for grey, 3 for RGB.
 */
samples: number, 
/**
 * Type of the values that `frame_pixels` returns.
 */
kind: ValueKindDto, 
/**
 * Photometric interpretation as stored.
 */
photometric: string, 
/**
 * To modality units.
 */
modality: ModalityDto, 
/**
 * The file's windows and tables, in order.
 */
voi: Array<VoiDto>, 
/**
 * The window to begin with.
 */
default_window: WindowDto, 
/**
 * True when the first entry of `voi` is a table and should be used until the user windows.
 */
default_is_lut: boolean, 
/**
 * True when low values are bright (MONOCHROME1); applied after the window.
 */
inverted: boolean, 
/**
 * Spacing, if the file states one.
 */
spacing: SpacingDto | null, 
/**
 * Heights of a pixel in widths: 1 for square pixels.
 */
pixel_aspect: number, 
/**
 * Value that stands for no data, in stored units.
 */
padding: number | null, 
/**
 * Instance number; 0 if none.
 */
instance_number: number, 
/**
 * Position along the slice normal, millimetres.
 */
position_mm: number | null, 
/**
 * Direction of rows then columns in patient coordinates, six numbers.
 */
orientation: Array<number> | null, 
/**
 * Where a row and a column lead, in letters (`L`, `F`), for projections without `orientation`.
 */
patient_orientation: [string, string] | null, 
/**
 * Frame within its file, counted from 1.
 */
frame: number, 
/**
 * SHA-256 of stored values and shape.
 */
pixel_hash: string, };

export type TagNode = { 
/**
 * `(gggg,eeee)`.
 */
tag: string, 
/**
 * Value representation.
 */
vr: string, 
/**
 * Keyword of the standard; empty for a private element.
 */
name: string, 
/**
 * Value as text, shortened.
 */
value: string, 
/**
 * Items' elements.
 */
children: Array<TagNode>, };

export type LibraryStatus = { 
/**
 * Cases.
 */
cases: number, 
/**
 * Patients with a pseudonym.
 */
patients: number, 
/**
 * Images.
 */
images: number, 
/**
 * Reports and captions.
 */
texts: number, 
/**
 * Questions with their answers.
 */
questions: number, 
/**
 * Images that the current pack has embedded.
 */
embedded_images: number, 
/**
 * Cases whose reports and captions the current pack has embedded.
 */
embedded_reports: number, 
/**
 * Images and reports that can be embedded and are not yet.
 */
to_embed: number, 
/**
 * Cases of each source.
 */
sources: Array<LibraryCount>, 
/**
 * Cases of each modality.
 */
modalities: Array<LibraryCount>, 
/**
 * Cases of each split.
 */
splits: Array<LibraryCount>, 
/**
 * Cases with each label present, the most frequent first, at most 100.
 */
labels: Array<LibraryCount>, 
/**
 * Cases that each reader labelled, the busiest first.
 */
readers: Array<LibraryCount>, };

export type LibraryCount = { 
/**
 * The property; empty where it is unknown.
 */
name: string, 
/**
 * Cases.
 */
cases: number, };

export type SearchBy = "words" | "meaning" | "both";

export type LibraryFilter = { 
/**
 * Name of a source.
 */
source: string | null, 
/**
 * DICOM modality, such as `DX`.
 */
modality: string | null, 
/**
 * Body part in DICOM's words, such as `CHEST`.
 */
body_part: string | null, 
/**
 * View position, such as `PA`.
 */
view: string | null, 
/**
 * `F`, `M` or `O`.
 */
sex: string | null, 
/**
 * Youngest age, years.
 */
age_from: number | null, 
/**
 * Oldest age, years.
 */
age_to: number | null, 
/**
 * Earliest date, `YYYY-MM-DD` or the beginning of one.
 */
date_from: string | null, 
/**
 * Latest date, `YYYY-MM-DD` or the beginning of one.
 */
date_to: string | null, 
/**
 * Name of a label that is present.
 */
label: string | null, 
/**
 * Part of a division of the data, such as `train`.
 */
split: string | null, };

export type LibraryQuery = { 
/**
 * Words to look for; may be empty where an image is searched with.
 */
text: string, 
/**
 * How the words are understood.
 */
by: SearchBy, 
/**
 * Most cases to return, 1 to 50.
 */
k: number, 
/**
 * Which cases are wanted.
 */
filter: LibraryFilter, 
/**
 * True to show cases of the patient on the screen too, marked; they are left out otherwise.
 */
same_patient: boolean, };

export type RankDto = { 
/**
 * Counted from 1.
 */
rank: number, 
/**
 * BM25 or cosine.
 */
score: number, };

export type ExcerptPiece = { 
/**
 * The words.
 */
text: string, 
/**
 * True for what was looked for.
 */
matched: boolean, };

export type CaseFacts = { 
/**
 * DICOM modality.
 */
modality: string | null, 
/**
 * Body part in DICOM's words.
 */
body_part: string | null, 
/**
 * View position.
 */
view: string | null, 
/**
 * `F`, `M` or `O`.
 */
sex: string | null, 
/**
 * Age at the examination, whole years.
 */
age: number | null, 
/**
 * Date of the examination: `YYYY-MM-DD`, `YYYY-MM` or `YYYY`.
 */
date: string | null, 
/**
 * Part of a division of the data.
 */
split: string | null, };

export type LibraryHit = { 
/**
 * The case's identifier.
 */
case_id: string, 
/**
 * Name of its source.
 */
source: string, 
/**
 * The sum of 1 / (60 + rank) over the rankings that have the case.
 */
score: number, 
/**
 * Where it stands by words in its texts (BM25), if it does.
 */
by_words: RankDto | null, 
/**
 * Where its nearest image stands (cosine), if it does.
 */
by_image: RankDto | null, 
/**
 * Where its report stands by meaning (cosine), if it does.
 */
by_report: RankDto | null, 
/**
 * True if it is of the patient on the screen.
 */
same_patient: boolean, 
/**
 * What is known of it.
 */
facts: CaseFacts, 
/**
 * Labels that are present.
 */
labels: Array<string>, 
/**
 * Number of images.
 */
images: number, 
/**
 * Index of the image that was nearest, or 0.
 */
image: number, 
/**
 * The best passage of its texts; its report's beginning where words played no part; empty without texts.
 */
excerpt: Array<ExcerptPiece>, };

export type LibraryHits = { 
/**
 * The best first.
 */
hits: Array<LibraryHit>, 
/**
 * Cases that the filter lets through.
 */
cases: number, 
/**
 * What the reader has to know, such as that part of the library is not embedded yet; sentences.
 */
notes: Array<string>, 
/**
 * Where the query's embedding came from; none for a search by words alone.
 */
provenance: Provenance | null, 
/**
 * Time of the search, milliseconds.
 */
elapsed_ms: number, };

export type CaseText = { 
/**
 * `report` or `caption`.
 */
kind: string, 
/**
 * The words.
 */
body: string, };

export type CaseQuestion = { 
/**
 * The question.
 */
question: string, 
/**
 * The reference answer, where it is known.
 */
answer: string | null, };

export type CaseLabel = { 
/**
 * As the source names it.
 */
name: string, 
/**
 * 1 present, 0 absent, -1 uncertain.
 */
value: number, 
/**
 * Who says so; none if it came with the case.
 */
reader: string | null, };

export type LibraryCase = { 
/**
 * The case's identifier.
 */
case_id: string, 
/**
 * Name of its source.
 */
source: string, 
/**
 * What is known of it.
 */
facts: CaseFacts, 
/**
 * Number of images.
 */
images: number, 
/**
 * Reports and captions.
 */
texts: Array<CaseText>, 
/**
 * Labels.
 */
labels: Array<CaseLabel>, 
/**
 * Questions and answers.
 */
questions: Array<CaseQuestion>, 
/**
 * Adapters that learned from it and are there.
 */
adapters: Array<string>, };

export type ImportFormat = { 
/**
 * The word for it, such as `chexpert`.
 */
word: string, 
/**
 * What it is, for a list.
 */
title: string, 
/**
 * True if a table and the map of its columns have to be given.
 */
needs_table: boolean, };

export type ColumnRole = { 
/**
 * The column's name.
 */
column: string, 
/**
 * What it says, such as `image`, `patient` or `report`.
 */
role: string, };

export type ImportRequest = { 
/**
 * See [`ImportFormat::word`].
 */
format: string, 
/**
 * The data set's folder.
 */
data: string, 
/**
 * The table, where the format does not know its name.
 */
table: string | null, 
/**
 * Which column says what; for the format `table` alone.
 */
columns: Array<ColumnRole>, 
/**
 * What becomes of uncertain labels: `keep`, `ones`, `zeros` or `ignore`.
 */
policy: string | null, 
/**
 * Modality of cases that name none.
 */
modality: string | null, 
/**
 * Body part of cases that name none.
 */
body_part: string | null, 
/**
 * The split of cases that name none.
 */
split: string | null, 
/**
 * Name of the source in the library; the folder's name if none.
 */
source: string | null, 
/**
 * Encoding of tables and texts, such as `latin1`.
 */
encoding: string | null, 
/**
 * What becomes of reports with a line that names a patient: `redact` or `refuse`.
 */
identifying: string | null, };

export type PreviewColumn = { 
/**
 * The column's name.
 */
name: string, 
/**
 * What it probably says; none if nothing fits.
 */
suggested: string | null, 
/**
 * Its values in the first rows.
 */
examples: Array<string>, };

export type PreviewRow = { 
/**
 * Number of the row, from 1.
 */
row: number, 
/**
 * What is known of the case.
 */
facts: CaseFacts, 
/**
 * Number of images that were found.
 */
images: number, 
/**
 * Labels.
 */
labels: Array<CaseLabel>, 
/**
 * The beginning of its text.
 */
text: string, 
/**
 * Number of questions.
 */
questions: number, 
/**
 * Why it would be refused.
 */
refused: string | null, };

export type ImportPreview = { 
/**
 * Columns of the table; empty for a format that knows its own.
 */
columns: Array<PreviewColumn>, 
/**
 * Every word for what a column can say.
 */
roles: Array<string>, 
/**
 * The first rows.
 */
rows: Array<PreviewRow>, 
/**
 * Rows in all, where that is known.
 */
total: number | null, 
/**
 * True if an earlier import of the same data was interrupted and would go on.
 */
resumes: boolean, 
/**
 * Why it cannot be imported as it stands, such as a column map without images.
 */
problem: string | null, };

export type RejectCause = { 
/**
 * Stable word for the cause.
 */
code: string, 
/**
 * Rows.
 */
rows: number, };

export type RejectedRow = { 
/**
 * Number of the row, from 1.
 */
row: number, 
/**
 * Stable word for the cause.
 */
code: string, 
/**
 * What was wrong; never patient data.
 */
reason: string, };

export type ImportOutcome = { 
/**
 * Name of the source in the library.
 */
source: string, 
/**
 * Rows read.
 */
rows: number, 
/**
 * Cases that were new.
 */
taken: number, 
/**
 * Rows about cases that were there.
 */
joined: number, 
/**
 * Rows that were refused.
 */
rejected: number, 
/**
 * Causes, the most frequent first.
 */
causes: Array<RejectCause>, 
/**
 * The first refused rows, at most 100.
 */
rejects: Array<RejectedRow>, 
/**
 * Lines of reports that were taken out because they named a patient.
 */
redacted: number, 
/**
 * The row that this run began with: more than 1 if it went on with an earlier one.
 */
began_with: number, 
/**
 * True if it was paused: the same import goes on where it was.
 */
paused: boolean, 
/**
 * What would let a test see what training saw; sentences.
 */
leaks: Array<string>, 
/**
 * Time, seconds.
 */
elapsed_s: number, };

export type LibraryDeleted = { 
/**
 * Cases that were deleted.
 */
deleted: number, 
/**
 * Adapters that learned from one of them: their weights keep what they learned until they are removed.
 */
adapters: Array<string>, 
/**
 * Runs that are not finished, or failed, and that one of them was part of: they have to be begun anew.
 */
runs: Array<string>, 
/**
 * Entries of reports of finished runs that showed one of their images and were taken out.
 */
report_entries: number, };

export type EmbedOutcome = { 
/**
 * Images that were embedded.
 */
images: number, 
/**
 * Reports that were embedded.
 */
reports: number, 
/**
 * Images that could not be read; searches do not find them by image.
 */
unreadable: number, 
/**
 * Time, seconds.
 */
elapsed_s: number, };

export type LabelSetDto = { 
/**
 * Its name, unique in the library.
 */
name: string, 
/**
 * True if exactly one of the classes holds; false for findings, each of which is present, absent or uncertain.
 */
exclusive: boolean, 
/**
 * The classes or findings, the first on key 1.
 */
classes: Array<string>, };

export type LabelAsk = { 
/**
 * Name of the set of labels.
 */
set: string, 
/**
 * The reader's name.
 */
reader: string, 
/**
 * True for a reader who is to know nothing of what others, or the source, say.
 */
blind: boolean, };

export type LabelWanted = { 
/**
 * One of the set's labels.
 */
name: string, 
/**
 * 1 present, 0 absent, -1 uncertain; none takes it away.
 */
value: number | null, };

export type LabelledCase = { 
/**
 * The case.
 */
case_id: string, 
/**
 * The reader's own, in the order of the set.
 */
own: Array<CaseLabel>, 
/**
 * What others, and the source, say of the set's labels; nothing for a blind reader.
 */
others: Array<CaseLabel>, 
/**
 * True if there is something that a blind reader does not see.
 */
hidden: boolean, };

export type LabelCount = { 
/**
 * The label.
 */
name: string, 
/**
 * Cases where it is present.
 */
present: number, 
/**
 * Cases where it is absent.
 */
absent: number, 
/**
 * Cases where the reader did not decide.
 */
uncertain: number, };

export type LabelReader = { 
/**
 * The reader's name.
 */
name: string, 
/**
 * Cases with a label.
 */
cases: number, };

export type LabelProgress = { 
/**
 * Cases of the library with an image.
 */
cases: number, 
/**
 * Cases that the reader gave a label of the set.
 */
read: number, 
/**
 * Each label of the set.
 */
classes: Array<LabelCount>, 
/**
 * Everybody who gave a label of the set, the busiest first.
 */
readers: Array<LabelReader>, 
/**
 * True if there is something to take back.
 */
can_undo: boolean, 
/**
 * True if something was taken back that can be done again.
 */
can_redo: boolean, };

export type LabelStrategy = "random" | "entropy" | "margin" | "core_set";

export type LabelNextRequest = { 
/**
 * Name of the set of labels.
 */
set: string, 
/**
 * The reader's name; cases that this reader labelled are not asked for again.
 */
reader: string, 
/**
 * How it is chosen.
 */
strategy: LabelStrategy, 
/**
 * `KEY=VALUE`, as lists of the library are narrowed.
 */
conditions: Array<string>, 
/**
 * Only cases that this other reader labelled: a second reading.
 */
read_by: string | null, 
/**
 * Cases that were passed over.
 */
skip: Array<string>, 
/**
 * Most cases to name, best first.
 */
count: number, };

export type LabelBasis = "chance" | "probe" | "zero_shot" | "embeddings";

export type LabelCandidate = { 
/**
 * The case.
 */
case_id: string, 
/**
 * 0 to 1 for uncertainty, cosine distance for the core-set, none for chance.
 */
score: number | null, };

export type LabelNext = { 
/**
 * Best first; empty if nothing is left.
 */
cases: Array<LabelCandidate>, 
/**
 * What the choice rests on.
 */
basis: LabelBasis, 
/**
 * Cases that the reader has not labelled yet, of those that were asked for.
 */
left: number, 
/**
 * Of these, cases without an embedding: only chance can choose them.
 */
unembedded: number, 
/**
 * Cases that a probe learned from.
 */
learned_from: number, };

export type AgreementRow = { 
/**
 * A label, or the set for all its classes together.
 */
name: string, 
/**
 * Cases that both read.
 */
cases: number, 
/**
 * Share of them on which they agree.
 */
agreement: number, 
/**
 * Cohen's kappa; none where both gave one and the same answer throughout.
 */
kappa: number | null, 
/**
 * Its 95 % interval; none where they agree throughout.
 */
low: number | null, 
/**
 * See `low`.
 */
high: number | null, 
/**
 * In words, after Landis and Koch 1977.
 */
words: string, };

export type LabelDisagreement = { 
/**
 * The case.
 */
case_id: string, 
/**
 * What it is about: a finding, or the set.
 */
name: string, 
/**
 * What the first reader says.
 */
first: string, 
/**
 * What the second reader says.
 */
second: string, };

export type LabelAgreement = { 
/**
 * Name of the set of labels.
 */
set: string, 
/**
 * The first reader.
 */
first: string, 
/**
 * The second reader.
 */
second: string, 
/**
 * Cases that the first read.
 */
first_cases: number, 
/**
 * Cases that the second read.
 */
second_cases: number, 
/**
 * Cases that both read.
 */
both: number, 
/**
 * All classes together, then each against the rest; or each finding.
 */
rows: Array<AgreementRow>, 
/**
 * Answers, as the table has them.
 */
answers: Array<string>, 
/**
 * Cases by the first reader's answer (rows) and the second's (columns); of findings, all of them together.
 */
table: Array<Array<number>>, 
/**
 * Where they differ, in the order of the library.
 */
disagreements: Array<LabelDisagreement>, };

export type TrainingMethod = "probe" | "lora" | "ia3" | "prefix" | "prompt" | "full" | "contrastive";

export type TrainingNeed = "labels" | "reports";

export type CalibrationMethod = "temperature" | "platt" | "isotonic";

export type TrainingPrecision = "f32" | "bf16" | "mixed";

export type TrainingOptions = { 
/**
 * Passes over the training cases.
 */
epochs: number | null, 
/**
 * Cases a step.
 */
batch: number | null, 
/**
 * Highest learning rate.
 */
rate: number | null, 
/**
 * Rank of low-rank updates.
 */
rank: number | null, 
/**
 * Numerator of their scale.
 */
alpha: number | null, 
/**
 * Virtual tokens of a prefix or a prompt.
 */
tokens: number | null, 
/**
 * First blocks of each tower that stay as they are.
 */
frozen_blocks: number | null, 
/**
 * Whether the image tower stays as it is while the text tower learns to fit it, for contrastive training.
 */
locked_images: boolean | null, 
/**
 * Seed of division, batches and views.
 */
seed: number | null, 
/**
 * Whether blocks are computed again in the backward pass: less memory, longer steps. Not of a probe.
 */
checkpointing: boolean | null, 
/**
 * How logits become probabilities; none for a temperature and an offset a class, or Platt scaling of findings.
 */
calibration: CalibrationMethod | null, 
/**
 * Types of numbers; none for f32.
 */
precision: TrainingPrecision | null, };

export type TrainingPreset = { 
/**
 * Stable word, such as `few_labels`; goes into [`TrainingRequest::preset`].
 */
id: string, 
/**
 * For people, such as "Few labels: probe".
 */
title: string, 
/**
 * When to take it: a sentence or two.
 */
description: string, 
/**
 * What it trains.
 */
method: TrainingMethod, 
/**
 * What it learns from.
 */
needs: TrainingNeed, 
/**
 * True for the first choice; the others are for those who know why.
 */
recommended: boolean, 
/**
 * Its numbers.
 */
options: TrainingOptions, };

export type TrainingColumns = { 
/**
 * Path of the image below the folder.
 */
image: string, 
/**
 * Key of the patient; without it every image counts as a patient of its own.
 */
patient: string | null, 
/**
 * Report text.
 */
report: string | null, 
/**
 * One column of class names, or one column of 1, 0, -1 and nothing for each finding.
 */
labels: Array<string>, 
/**
 * `train`, `validation` or `test`; without it cases are divided by patient.
 */
split: string | null, };

export type TrainingTable = { 
/**
 * Its columns.
 */
columns: Array<string>, 
/**
 * Rows below the header.
 */
rows: number, 
/**
 * Which is probably what; an empty `image` if none looks like it.
 */
guess: TrainingColumns, };

export type TrainingData = { 
/**
 * Folder with the images.
 */
folder: string, 
/**
 * Path of the CSV file.
 */
table: string, 
/**
 * What its columns are.
 */
columns: TrainingColumns, 
/**
 * Labels that are read as another one: from, to.
 */
renamed: Array<[string, string]>, 
/**
 * Cases of the library that are not in the table, since readers differ on their labels.
 */
left_out: number, };

export type ClassCount = { 
/**
 * The class or finding.
 */
name: string, 
/**
 * Cases that have it.
 */
cases: number, 
/**
 * Patients that have it.
 */
patients: number, };

export type TrainingProblem = { 
/**
 * Stable word for the cause, such as `contradictory_labels`.
 */
code: string, 
/**
 * What, which row, and what to do; never a patient.
 */
message: string, 
/**
 * False for a warning.
 */
blocking: boolean, };

export type TrainingPreview = { 
/**
 * Rows of the table.
 */
cases: number, 
/**
 * Patients; copies of one film count as one patient's.
 */
patients: number, 
/**
 * True if the table says who the patients are.
 */
patients_known: boolean, 
/**
 * True if classes exclude each other; false for findings.
 */
exclusive: boolean, 
/**
 * Cases and patients of each class.
 */
classes: Array<ClassCount>, 
/**
 * Cases without a label.
 */
unlabelled: number, 
/**
 * Cases with a report.
 */
reports: number, 
/**
 * What speaks against it; training is possible if none blocks.
 */
problems: Array<TrainingProblem>, };

export type TrainingRequest = { 
/**
 * Name of the run and of its adapter: up to 64 letters, digits, `-`, `_` and `.`.
 */
name: string, 
/**
 * Identifier of a preset.
 */
preset: string, 
/**
 * The cases.
 */
data: TrainingData, 
/**
 * Name of the pack; none for the default one.
 */
pack: string | null, 
/**
 * Numbers other than the preset's.
 */
options: TrainingOptions, 
/**
 * Cores at most; none for half of them.
 */
cores: number | null, 
/**
 * A remark that is kept with the adapter.
 */
notes: string, };

export type TrainingEstimate = { 
/**
 * Steps in all.
 */
steps: number, 
/**
 * Seconds of one step.
 */
step_s: number, 
/**
 * Seconds of the whole run.
 */
total_s: number, 
/**
 * Memory above what the application has now, MiB.
 */
memory_mib: number, 
/**
 * Bytes that the run's folder will take at most.
 */
disk_bytes: number, };

export type TrainingState = "running" | "paused" | "finished" | "failed" | "cancelled";

export type TrainingRun = { 
/**
 * Its name.
 */
name: string, 
/**
 * What it trains.
 */
method: TrainingMethod, 
/**
 * The preset that it began with.
 */
preset: string, 
/**
 * The pack that it adapts.
 */
pack: string, 
/**
 * How it is.
 */
state: TrainingState, 
/**
 * What it is doing, such as "training" or "judging"; empty if it is not running.
 */
stage: string, 
/**
 * Steps done, of this stage while it runs.
 */
done: number, 
/**
 * Steps in all; 0 if not known yet.
 */
total: number, 
/**
 * Seconds left.
 */
eta_s: number | null, 
/**
 * Cases a second, of the last step.
 */
cases_per_s: number | null, 
/**
 * Why it failed.
 */
error: ErrorDto | null, 
/**
 * When it was asked for, RFC 3339, UTC.
 */
created: string, 
/**
 * Cases and patients it learns from and is judged on; 0 until they were read.
 */
cases: number, 
/**
 * Name of the adapter that it left.
 */
adapter: string | null, };

export type CurvePoint = { 
/**
 * Step counted from 1.
 */
step: number, 
/**
 * Training loss.
 */
loss: number, 
/**
 * The figure on validation cases, where this step was judged.
 */
figure: number | null, };

export type TrainingRunDetail = { 
/**
 * The run.
 */
run: TrainingRun, 
/**
 * At most 400 points; a probe has none.
 */
curve: Array<CurvePoint>, 
/**
 * What [`CurvePoint::figure`] is: `auroc` or `recall@5`.
 */
figure: string, 
/**
 * What was asked for.
 */
request: TrainingRequest, };

export type AdapterSummary = { 
/**
 * Its name.
 */
name: string, 
/**
 * How it was made.
 */
method: TrainingMethod, 
/**
 * The pack that it stands on.
 */
pack: string, 
/**
 * Hash of that pack.
 */
pack_hash: string, 
/**
 * False if that pack is not installed, or has changed since.
 */
fits: boolean, 
/**
 * True if it is in use.
 */
active: boolean, 
/**
 * When it was made, RFC 3339, UTC; empty for adapters of earlier versions.
 */
created: string, 
/**
 * The user's remark.
 */
notes: string, 
/**
 * Classes or findings; none after contrastive training.
 */
classes: Array<string>, 
/**
 * Cases trained on.
 */
cases: number, 
/**
 * Their patients.
 */
patients: number, 
/**
 * True if it has a report with figures: of training, or a later verdict.
 */
judged: boolean, 
/**
 * What the gate looked at: `auroc` or `recall@5`.
 */
metric: string, 
/**
 * Its value with the adapter; none if there is no report.
 */
value: number | null, 
/**
 * Its value with the pack alone.
 */
base_value: number | null, 
/**
 * True if it may go live.
 */
passes: boolean, 
/**
 * Why it may not.
 */
reasons: Array<string>, 
/**
 * What should be known before it goes live, such as what its towers forgot.
 */
warnings: Array<string>, 
/**
 * Bytes of its folder.
 */
bytes: number, };

export type FigureInterval = { 
/**
 * The value.
 */
value: number | null, 
/**
 * Lower end.
 */
low: number | null, 
/**
 * Upper end.
 */
high: number | null, };

export type ClassFigures = { 
/**
 * Area under the ROC curve, one class against the rest.
 */
auroc: FigureInterval, 
/**
 * Average precision.
 */
auprc: number | null, 
/**
 * Sensitivity at a specificity of 0.9.
 */
sensitivity_at_90_specificity: number | null, 
/**
 * Calibration error.
 */
ece: number, 
/**
 * Brier score.
 */
brier: number, };

export type ReportRow = { 
/**
 * The class or finding, or `macro` in the last row.
 */
name: string, 
/**
 * Judged cases whose label is known; in the last row all.
 */
n: number, 
/**
 * Those that have it.
 */
positives: number, 
/**
 * With the adapter.
 */
after: ClassFigures, 
/**
 * The pack alone.
 */
before: ClassFigures, 
/**
 * Two-sided p of DeLong's test.
 */
delong_p: number | null, };

export type PlotPoint = { 
/**
 * 1 − specificity, or the mean probability of a bin.
 */
x: number, 
/**
 * Sensitivity, or the share of a bin's cases that have the class.
 */
y: number, };

export type ClassPlots = { 
/**
 * The class or finding.
 */
name: string, 
/**
 * ROC curve with the adapter, from (0, 0) to (1, 1).
 */
roc_after: Array<PlotPoint>, 
/**
 * ROC curve of the pack alone.
 */
roc_before: Array<PlotPoint>, 
/**
 * Reliability with the adapter, one point a bin that has cases.
 */
reliability_after: Array<PlotPoint>, 
/**
 * Reliability of the pack alone.
 */
reliability_before: Array<PlotPoint>, };

export type ConfusionTable = { 
/**
 * Order of rows and columns.
 */
classes: Array<string>, 
/**
 * Rows are true classes, columns the likeliest ones with the adapter.
 */
after: Array<Array<number>>, 
/**
 * The same of the pack alone.
 */
before: Array<Array<number>>, };

export type WorstCase = { 
/**
 * The image's file; may be gone since.
 */
path: string, 
/**
 * What is true, such as `edema` or `no edema`.
 */
truth: string, 
/**
 * What was said instead.
 */
said: string, 
/**
 * Its probability.
 */
probability: number, };

export type RecallRow = { 
/**
 * `image to report` or `report to image`.
 */
direction: string, 
/**
 * Among how many nearest.
 */
k: number, 
/**
 * With the adapter.
 */
after: FigureInterval, 
/**
 * The pack alone.
 */
before: FigureInterval, };

export type ForgottenRow = { 
/**
 * What was asked.
 */
name: string, 
/**
 * `auroc`, `accuracy` or `recall@5`.
 */
measure: string, 
/**
 * Cases.
 */
cases: number, 
/**
 * The pack alone.
 */
before: number, 
/**
 * With the adapter.
 */
after: number, 
/**
 * 95 % interval of the change.
 */
low: number | null, 
/**
 * See `low`.
 */
high: number | null, 
/**
 * True if the whole interval lies below zero.
 */
forgotten: boolean, };

export type RecalibrationRow = { 
/**
 * `standard`, `temperature`, `platt` or `isotonic`.
 */
method: string, 
/**
 * Cases that it was fitted on; none if nothing says how many.
 */
cases: number | null, 
/**
 * Calibration error without it.
 */
ece_before: number, 
/**
 * Calibration error with it.
 */
ece_after: number, 
/**
 * Brier score without it.
 */
brier_before: number, 
/**
 * Brier score with it.
 */
brier_after: number, };

export type AdapterReport = { 
/**
 * The adapter.
 */
adapter: AdapterSummary, 
/**
 * How the judged cases were had, in words.
 */
judged_on: string, 
/**
 * Judged cases.
 */
cases: number, 
/**
 * Their patients.
 */
patients: number, 
/**
 * Cases and patients of each class among those trained on.
 */
trained: Array<ClassCount>, 
/**
 * Before and after; empty after contrastive training.
 */
rows: Array<ReportRow>, 
/**
 * Difference of the gate's metric, after minus before.
 */
gain: FigureInterval, 
/**
 * Share of cases whose likeliest class is theirs, after; exclusive classes alone.
 */
accuracy: number | null, 
/**
 * The same before.
 */
base_accuracy: number | null, 
/**
 * What recalibration was worth; none of an adapter without calibration.
 */
recalibration: RecalibrationRow | null, 
/**
 * Plots of each class.
 */
plots: Array<ClassPlots>, 
/**
 * Exclusive classes alone.
 */
confusion: ConfusionTable | null, 
/**
 * At most 12, worst first.
 */
worst: Array<WorstCase>, 
/**
 * Recall after contrastive training; else empty.
 */
retrieval: Array<RecallRow>, 
/**
 * What its towers no longer know of the demo cases; empty for a method that leaves them alone.
 */
forgotten: Array<ForgottenRow>, };

export type ComputeType = "f32" | "f16" | "bf16";

export type MatrixBits = "q8" | "q4";

export type ComputingChoice = { 
/**
 * `auto`, `cpu`, `cuda:N`, `metal:N` or `reference`.
 */
device: string, 
/**
 * Type of numbers on an accelerator; f32 if none.
 */
compute_type: ComputeType | null, 
/**
 * Fewer bits on the processor; floats if none.
 */
matrix_bits: MatrixBits | null, };

export type SelfTestDto = { 
/**
 * Largest difference of a result or a gradient, relative to the largest value.
 */
error: number, 
/**
 * Largest difference that is allowed.
 */
tolerance: number, 
/**
 * A pass on the device, milliseconds.
 */
device_ms: number, 
/**
 * The same on the processor, milliseconds.
 */
processor_ms: number, };

export type DeviceRefused = { 
/**
 * `cuda:0` and the like.
 */
device: string, 
/**
 * Why not.
 */
reason: string, };

export type ComputingDto = { 
/**
 * `cpu`, `cuda:0` and the like; after a failure the device that failed.
 */
device: string, 
/**
 * Its name, for people.
 */
name: string, 
/**
 * `f32`, `f16`, `bf16` or `f64`.
 */
numbers: string, 
/**
 * How it did in its test; none for the processor, which the test compares with.
 */
self_test: SelfTestDto | null, 
/**
 * Why the processor does its work, if it does.
 */
failure: string | null, 
/**
 * Devices that this build knows and that were not taken.
 */
passed_over: Array<DeviceRefused>, 
/**
 * The processor's name, for people.
 */
processor: string, };

export type DeviceDto = { 
/**
 * As `--device` takes it.
 */
device: string, 
/**
 * How it is, if it can be used.
 */
state: ComputingDto | null, 
/**
 * Why it cannot be used, if it cannot.
 */
reason: string | null, 
/**
 * True for the one that `auto` takes.
 */
automatic: boolean, };

export type ComputingOverview = { 
/**
 * What is used.
 */
now: ComputingDto, 
/**
 * What was chosen.
 */
choice: ComputingChoice, 
/**
 * Devices that this build knows, as [`ComputingChoice::device`] names them.
 */
known: Array<string>, };
