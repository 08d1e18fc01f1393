"""Captions as people keep them, their words as the COCO evaluation counts them, and vocabularies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from creative.data.captions import Captioned, CaptionsError, check_pictures, read_captions
from creative.data.words import (
    END,
    START,
    UNKNOWN,
    CharacterVocabulary,
    WordsError,
    WordVocabulary,
    readable,
    tokenise,
)

# Stanford's PTBTokenizer 3.4.1 as pycocoevalcap runs it (-preserveLines -lowerCase, then without its punctuation).
TOKENISED = [
    (
        "A man's dog isn't here; it's on the \"grey\" sofa (red) -- and/or the black-and-white one...",
        "a man 's dog is n't here it 's on the grey sofa -lrb- red -rrb- and/or the black-and-white one",
    ),
    (
        "I'm here, I can't, I CANNOT, gonna wanna gimme lemme gotta 'tis, they'll, could've, who's, he'd, we're",
        "i 'm here i ca n't i can not gon na wan na gim me lem me got ta 't is they 'll could 've who 's he 'd we 're",
    ),
    (
        "The U.S. flag, Mr. Smith on St. James St. at 10:30 a.m. costs $5.50 or 50% of 1,000 & more #1 1/2.",
        "the u.s. flag mr. smith on st. james st. at 10:30 a.m. costs $ 5.50 or 50 % of 1,000 & more # 1 1/2",
    ),
    (
        "The dogs' bowls 'quoted words' “curly quotes” ‘single’ it’s don’t — dash – en a–b",
        "the dogs bowls quoted words curly quotes single it 's do n't dash en a b",
    ),
    (
        "*star* a*b [brackets] {braces} @home ^ _ under_score ~ | \\ +1 = 3:4 A.B. x-ray 2-story 20th 1980s '80s",
        "* star * a * b -lsb- brackets -rsb- -lcb- braces -rcb- @home ^ _ under_score ~ | \\ +1 = 3:4 a.b. x-ray "
        "2-story 20th 1980s '80s",
    ),
    (
        "Rock'n'roll at 5 o'clock, ma'am! O'Brien... Really?! wow!! a.m. p.m. 5ft 4x4 100m -5 +5 .5",
        "rock 'n' roll at 5 o'clock ma'am o'brien really ?! wow !! a.m. p.m. 5ft 4x4 100m -5 +5 .5",
    ),
    (
        "Two men, a DOG and 3 cats: wait. No. 5 of fig. 2 vs. Dr. Who etc.",
        "two men a dog and 3 cats wait no. 5 of fig. 2 vs. dr. who etc.",
    ),
    (
        "一只狗在草地上。 две собаки играют. a café naïve Straße δύο σκύλοι كلب يركض 犬が走る 개가 달린다",
        "一只狗在草地上 。 две собаки играют a café naïve straße δύο σκύλοι كلب يركض 犬が走る 개가 달린다",
    ),
    (
        "hello.This is a photo.jpg from www.example.com or me@mail.com and http://example.com/x?y=1",
        "hello.this is a photo.jpg from www.example.com or me@mail.com and http://example.com/x?y=1",
    ),
    ('T-shirt with "Hello World" on it.Another sentence', "t-shirt with hello world on it.another sentence"),
    (
        "AT&T B&W m&m a man(with hat) ,and a dog ; in Calif. 6 ' tall 5\" wide £5 €3",
        "at&t b&w m & m a man -lrb- with hat -rrb- and a dog in calif. 6 tall 5 wide # 5 $ 3",
    ),
]


@pytest.mark.parametrize(("sentence", "words"), TOKENISED)
def test_words_are_those_of_the_coco_evaluation(sentence: str, words: str) -> None:
    assert " ".join(tokenise(sentence)) == words


def test_sentences_of_nothing_one_and_many_words() -> None:
    assert tokenise("") == tokenise(" \n\t ") == tokenise("... !") == []
    assert tokenise("Dog") == ["dog"]
    assert tokenise("A dog " * 100) == ["a", "dog"] * 100
    assert tokenise("a\u00a0dog\nruns\x00") == ["a", "dog", "runs", "\x00"]
    assert len(tokenise("a.b" * 5000 + "'" * 5000)) < 20_000


def test_words_are_put_together_as_one_writes_them() -> None:
    for text in ("the dog isn't the man's", "they cannot say it's black-and-white", "a man (in a hat) can't see"):
        assert readable(tokenise(text)) == text


# Vocabularies ---------------------------------------------------------------------------------------------------------

SENTENCES = ["A red circle.", "a red star", "A blue star!", "the moon"]


def test_a_vocabulary_of_words_has_the_frequent_ones_first() -> None:
    vocabulary = WordVocabulary.of(SENTENCES)
    assert vocabulary.words == ("a", "red", "star", "blue", "circle", "moon", "the")
    assert len(vocabulary) == 10
    frequent = WordVocabulary.of(SENTENCES, min_count=2)
    assert frequent.words == ("a", "red", "star")
    ids = frequent.encode("The red star, a planet")
    assert ids.tolist() == [START, UNKNOWN, 4, 5, 3, UNKNOWN, END]
    assert frequent.decode(ids) == "<unknown> red star a <unknown>"
    assert frequent.decode([4, 5, END, 3]) == "red star"
    assert frequent.unknown("the red moon, the moon") == ["the", "moon"]


@pytest.mark.parametrize("kind", [WordVocabulary, CharacterVocabulary])
@pytest.mark.parametrize(
    "sentence",
    [
        "dog",
        "a red circle " * 60,
        "две собаки играют в снегу",
        "一只狗在草地上",
        "كلب يركض على العشب",
        "สุนัขวิ่ง",
        "𝒜 🐕 on the grass",
    ],
)
def test_sentences_come_back_from_their_numbers(kind: type[WordVocabulary], sentence: str) -> None:
    vocabulary = kind.of([sentence, "more of it"])
    ids = vocabulary.encode(sentence)
    assert ids[0] == START
    assert ids[-1] == END
    assert int(ids.max()) < len(vocabulary)
    assert vocabulary.decode(ids) == " ".join(tokenise(sentence))
    again = WordVocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again == vocabulary
    assert type(again) is kind


def test_characters_can_write_words_that_nobody_wrote() -> None:
    vocabulary = CharacterVocabulary.of(["a cab", "dad"])
    assert vocabulary.decode(vocabulary.encode("a bad cad")) == "a bad cad"
    assert vocabulary.decode(vocabulary.encode("bed")) == "b<unknown>d"


def test_a_vocabulary_of_one_word() -> None:
    vocabulary = WordVocabulary.of(["dog", "dog dog"])
    assert len(vocabulary) == 4
    assert vocabulary.decode(vocabulary.encode("dog cat")) == "dog <unknown>"


def test_vocabularies_of_nothing_are_refused() -> None:
    with pytest.raises(WordsError, match="no word in these sentences"):
        WordVocabulary.of(["", "...", "<unknown>"])
    with pytest.raises(WordsError, match=r"None of 2 words occurs 9 times: the most frequent one occurs 3 times"):
        WordVocabulary.of(["dog dog", "dog cat"], min_count=9)
    with pytest.raises(WordsError, match="each word once"):
        WordVocabulary(("dog", "dog"))
    values: dict[str, Any]
    for values in (
        {},
        {"units": "bytes", "words": ["a"]},
        {"units": "words", "words": [1]},
        {"units": "words", "words": []},
    ):
        with pytest.raises(WordsError):
            WordVocabulary.from_json(values)


# Layouts --------------------------------------------------------------------------------------------------------------


def paint(path: Path, shade: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 8), (shade, 120, 60)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        paint(tmp_path / "set" / "images" / name)
    return tmp_path / "set"


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def found(captioned: Captioned) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {picture.path.name: (picture.split, picture.sentences) for picture in captioned.pictures}


EXPECTED = {
    "a.jpg": ("train", ("A dog, running .", "A brown dog")),
    "b.jpg": ("val", ("A cat",)),
    "c.jpg": ("test", ("A cow",)),
}


def flickr(folder: Path) -> Path:
    lines = ["a.jpg#0\tA dog, running .", "a.jpg#1\tA brown dog", "b.jpg#0\tA cat", "c.jpg#0\tA cow"]
    write(folder / "Flickr_8k.trainImages.txt", "a.jpg\n")
    write(folder / "Flickr_8k.devImages.txt", "b.jpg\n")
    write(folder / "Flickr_8k.testImages.txt", "c.jpg\n")
    # Flickr8k's other files: lemmas, and judgements of which sentence fits which picture.
    write(folder / "Flickr8k.lemma.token.txt", "\n".join(line.lower() for line in lines))
    write(folder / "CrowdFlowerAnnotations.txt", "a.jpg\tb.jpg#2\t1\t3\t0\n" * 9)
    return write(folder / "Flickr8k.token.txt", "\n".join(lines) + "\n")


def coco(folder: Path) -> Path:
    for split, names in (("train", "a"), ("val", "b"), ("test", "c")):
        said = {"a": ["A dog, running .", "A brown dog"], "b": ["A cat"], "c": ["A cow"]}
        images = [{"id": ord(name), "file_name": f"{name}.jpg"} for name in names]
        annotations = [{"id": 1, "image_id": ord(name), "caption": text} for name in names for text in said[name]]
        write(
            folder / "annotations" / f"captions_{split}2014.json",
            {"info": {}, "images": images, "annotations": annotations},
        )
    write(folder / "annotations" / "instances_train2014.json", "{ not read at all")
    return folder


def karpathy(folder: Path) -> Path:
    splits = {"a": "restval", "b": "val", "c": "test"}
    images = [
        {
            "filename": name,
            "filepath": "images",
            "split": splits[name[0]],
            "sentences": [{"raw": text, "tokens": text.split()} for text in sentences],
        }
        for name, (_, sentences) in EXPECTED.items()
    ]
    return write(folder / "dataset_coco.json", {"dataset": "coco", "images": images})


def plain(folder: Path) -> Path:
    entries = [{"file": name, "split": split, "captions": list(said)} for name, (split, said) in EXPECTED.items()]
    return write(folder / "captions.json", entries)


def table(folder: Path) -> Path:
    lines = ['a.jpg,train,"A dog, running ."', "a.jpg,train,A brown dog", "b.jpg,val,A cat", "c.jpg,test,A cow"]
    return write(folder / "sentences.csv", "\n".join(["image,split,caption", *lines]))


def bare_table(folder: Path) -> Path:
    # No header, a byte order mark, Windows' line ends, and a comma in a sentence without quotes.
    lines = [
        "train,images/a.jpg,A dog, running .",
        "train,images/a.jpg,A brown dog",
        "dev,b.jpg,A cat",
        "test,c.jpg,A cow",
    ]
    return write(folder / "sentences.csv", "\ufeff" + "\r\n".join(lines))


def tabs(folder: Path) -> Path:
    lines = ["a.jpg\tA dog, running .\ttrain", "a.jpg\tA brown dog\ttrain", "b.jpg\tA cat\tval", "c.jpg\tA cow\ttest"]
    return write(folder / "sentences.tsv", "\n".join(["file_name\tsentence\tsplit", *lines]))


def flickr30k(folder: Path) -> Path:
    lines = ["a.jpg| 0| A dog, running .", "a.jpg| 1| A brown dog", "b.jpg| 0| A cat", "c.jpg| 0| A cow"]
    return write(folder / "results.csv", "\n".join(["image_name| comment_number| comment", *lines]))


@pytest.mark.parametrize(
    ("make", "layout"),
    [
        (flickr, "Flickr token file"),
        (coco, "COCO captions"),
        (karpathy, "Karpathy's splits"),
        (plain, "captions.json"),
        (table, "CSV of files and sentences"),
        (bare_table, "CSV of files and sentences"),
        (tabs, "CSV of files and sentences"),
    ],
)
def test_each_layout_is_found_out(folder: Path, make: Any, layout: str) -> None:
    file = make(folder)
    captioned = read_captions(folder)
    assert captioned.layout == layout
    assert found(captioned) == EXPECTED
    assert captioned.split_given
    assert captioned.told() == ("3 pictures with 4 sentences (1 to train on, 1 to steer by, 1 to test with).")
    assert not captioned.without_picture + captioned.without_sentence + captioned.duplicates + captioned.unreadable
    if file.is_file():  # named, and with the pictures elsewhere
        assert found(read_captions(file)) == EXPECTED
        elsewhere = folder.rename(folder.with_name("captions only")) / file.name
        pictures = (elsewhere.parent / "images").rename(folder.with_name("pictures only"))
        assert found(read_captions(elsewhere, pictures=pictures)) == EXPECTED


def test_without_splits_a_tenth_each_is_held_out_by_name(tmp_path: Path) -> None:
    names = [f"{number:03}.png" for number in range(120)]
    for name in names:
        paint(tmp_path / name)
    write(tmp_path / "captions.csv", "\n".join(f"{name},a picture" for name in names))
    captioned = read_captions(tmp_path)
    sizes = {split: len(captioned.of(split)) for split in ("train", "val", "test")}
    assert sum(sizes.values()) == 120
    assert all(4 <= sizes[split] <= 22 for split in ("val", "test")), sizes
    assert not captioned.split_given
    assert "held out by name" in captioned.told()
    before = found(captioned)
    write(tmp_path / "captions.csv", "\n".join(f"{name},a picture" for name in names[:60]))
    assert found(read_captions(tmp_path)) == {name: before[name] for name in names[:60]}


def test_tables_for_each_split_belong_together(folder: Path) -> None:
    write(folder / "captions.csv", "file,sentence\na.jpg,a dog\nb.jpg,a cat\nc.jpg,a cow")
    write(folder / "train.csv", "file,sentence\na.jpg,a dog\na.jpg,a hound")
    write(folder / "test.csv", "file,sentence\nb.jpg,a cat\nb.jpg,a cat")
    assert found(read_captions(folder)) == {
        "a.jpg": ("train", ("a dog", "a hound")),
        "b.jpg": ("test", ("a cat",)),
        "c.jpg": ("train", ("a cow",)),
    }


def test_a_file_of_cocos_is_enough(folder: Path) -> None:
    coco(folder)
    alone = read_captions(folder / "annotations" / "captions_val2014.json")
    assert found(alone) == {"b.jpg": EXPECTED["b.jpg"]}
    assert alone.without_sentence == ["a.jpg", "c.jpg"]


def test_a_linked_folder_of_pictures_is_found_and_no_circle_entered(folder: Path, tmp_path: Path) -> None:
    plain(folder)
    (folder / "images").rename(tmp_path / "far away")
    (folder / "images").symlink_to(tmp_path / "far away")
    (tmp_path / "far away" / "again").symlink_to(tmp_path / "far away")
    assert found(read_captions(folder)) == EXPECTED


def test_flickr30ks_table_has_bars(folder: Path) -> None:
    flickr30k(folder)
    assert {name: said for name, (_, said) in found(read_captions(folder)).items()} == {
        name: said for name, (_, said) in EXPECTED.items()
    }


# Bad input ------------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_counted_and_named(folder: Path) -> None:
    paint(folder / "images" / "nobody spoke.jpg")
    paint(folder / "images" / "more" / "twice.jpg")
    paint(folder / "images" / "other" / "twice.jpg")
    paint(folder / "images" / "more" / "own.jpg")
    paint(folder / "images" / "other" / "own.jpg", 200)
    entries = [
        {"file": "a.jpg", "split": "train", "captions": ["  a  dog ", "", "\n"]},
        {"file": "gone.jpg", "split": "train", "captions": ["a ghost"]},
        {"file": "away.jpg", "split": "test", "captions": ["a ghost"]},
        {"file": "b.jpg", "split": "train", "captions": []},
        {"file": "twice.jpg", "split": "train", "captions": ["one of two"]},
        {"file": "other/own.jpg", "split": "test", "captions": ["the second one"]},
        {"file": "../../c.jpg", "split": "train", "captions": ["outside"]},
        {"file": 5, "captions": ["a number"]},
        "nonsense",
        {"file": "c.jpg", "split": "nowhere", "captions": ["a cow", 7, None]},
    ]
    captioned = read_captions(write(folder / "captions.json", entries))
    assert found(captioned) == {
        "a.jpg": ("train", ("a dog",)),
        "c.jpg": ("train", ("a cow",)),
        "own.jpg": ("test", ("the second one",)),
    }
    assert captioned.of("test")[0].path.parent.name == "other"
    assert captioned.without_picture == ["gone.jpg", "away.jpg", "../../c.jpg"]
    assert captioned.duplicates == ["twice.jpg"]
    assert captioned.without_sentence[0] == "b.jpg"
    assert set(captioned.without_sentence) == {"b.jpg", "nobody spoke.jpg", "own.jpg"}
    assert captioned.unreadable == ["entry 8", "entry 9", "entry 10", "entry 10"]
    told = captioned.told()
    assert told == (
        "3 pictures with 3 sentences (2 to train on, 1 to test with); left out: 3 captioned pictures not found, "
        "gone.jpg first; 3 pictures without a caption, b.jpg first; 1 name of several pictures at once, twice.jpg "
        "first; 4 entries without name or caption, entry 8 first."
    )


def test_the_same_picture_named_twice_has_all_its_sentences(folder: Path) -> None:
    write(folder / "x.csv", "file,sentence\na.jpg,a dog\nb.jpg,a cat\nimages/a.jpg,a hound\na.jpg,a dog\n")
    said = {name: sentences for name, (_, sentences) in found(read_captions(folder)).items()}
    assert said == {"a.jpg": ("a dog", "a dog", "a hound"), "b.jpg": ("a cat",)}


def test_sentences_of_any_length_and_script_are_kept(folder: Path) -> None:
    texts = ["Hund", "word " * 200, "две собаки", "一只狗在草地上", "a" * 50_000]
    write(folder / "captions.json", [{"file": "a.jpg", "captions": texts}])
    sentences = read_captions(folder).pictures[0].sentences
    assert sentences[:4] == ("Hund", ("word " * 200).strip(), "две собаки", "一只狗在草地上")
    assert len(sentences[4]) == 4000


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("captions.json", "", "is empty"),
        ("captions.json", "[]", "holds no captions"),
        ("captions.json", "[{]", "is damaged or no json at line 1, column 3"),
        ("captions.json", "[" * 100_000, "is damaged or no json"),
        ("captions.json", '{"images": [], "annotations": []}', "holds no captions"),
        ("captions.json", '{"images": [{"id": 1}], "annotations": [{"caption": "a"}, 3]}', "holds no captions"),
        ("captions.json", '"a text"', "holds no captions"),
        ("captions.csv", "what,ever\n1,2\n", "holds no captions"),
        ("captions.csv", "file,sentence\n", "holds no captions"),
        ("captions.csv", "file,sentence\ngone.jpg,a ghost\n", "None of the 1 captioned pictures is in"),
        ("notes.txt", "Just some text.\nNothing else.\n", "holds no captions"),
    ],
)
def test_files_without_captions_are_told_in_one_sentence(folder: Path, name: str, content: str, words: str) -> None:
    with pytest.raises(CaptionsError, match=words) as told:
        read_captions(write(folder / name, content))
    assert "\n" not in str(told.value)


def test_paths_and_folders_without_captions(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CaptionsError, match="There is no file or folder"):
        read_captions(tmp_path / "nowhere")
    with pytest.raises(CaptionsError, match=r"No captions were found in .*Flickr token file"):
        read_captions(folder)
    with pytest.raises(CaptionsError, match="is damaged or no json"):
        read_captions(write(folder / "captions.json", '[{"file": "a.jpg", "capt').parent)
    (folder / "captions.json").write_bytes(b"\xff\xfe[\x00]\x00")
    with pytest.raises(CaptionsError, match="is not UTF-8: see the byte at offset 0"):
        read_captions(folder / "captions.json")
    with pytest.raises(CaptionsError, match=r"There is no folder .*elsewhere"):
        read_captions(plain(folder), pictures=tmp_path / "elsewhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CaptionsError, match=r"None of the 3 captioned pictures .* a\.jpg for example"):
        read_captions(folder, pictures=empty)


def test_a_corrupt_picture_among_others_is_skipped_and_named(folder: Path) -> None:
    (folder / "images" / "b.jpg").write_bytes((folder / "images" / "b.jpg").read_bytes()[:90])
    captioned = read_captions(plain(folder).parent)
    assert len(captioned) == 3
    reasons: list[tuple[str, str]] = []
    kept = list(check_pictures(captioned.pictures, lambda picture, reason: reasons.append((picture.path.name, reason))))
    assert [picture.path.name for picture in kept] == ["a.jpg", "c.jpg"]
    assert [name for name, _ in reasons] == ["b.jpg"]
    assert "b.jpg" in reasons[0][1]


def test_the_aerial_set_as_it_is(shared_data: Path) -> None:
    captioned = read_captions(shared_data / "aerial_captions")
    assert captioned.told() == "2,442 pictures with 12,213 sentences (2,089 to train on, 353 to test with)."
    sentences = [sentence for picture in captioned.pictures for sentence in picture.sentences]
    assert all(tokenise(sentence) == sentence.split() for sentence in sentences)
