"""Write one prompt at several temperatures, and tell of each text how bold it is and how much of it is memory.

python examples/temperatures.py --voice shakespeare --prompt "JULIET:" --temperatures 0.3 0.6 0.9 1.2
"""

from __future__ import annotations

import argparse

from creative import WriteSettings, load_voice, run, score_text, write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", default="shakespeare", help="a bundled voice, or a voice's file")
    parser.add_argument("--prompt", default="JULIET:\n", help="how the text begins")
    parser.add_argument("--temperatures", nargs="+", type=float, default=[0.3, 0.6, 0.9, 1.2])
    parser.add_argument("--length", type=int, default=300, help="characters of each text")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    voice = load_voice(given.voice)
    for temperature in given.temperatures:
        settings = WriteSettings(length=given.length, temperature=temperature, seed=given.seed)
        one = run(write(given.prompt, settings, voice=voice)).variants[0]
        score = run(score_text(one.text, voice=voice))
        longest = one.copied.longest if one.copied else None
        told = f"temperature {temperature:g}: {score.bits_per_character:.2f} bits per character"
        print(f"--- {told}, longest copied run {len(longest) if longest else 0} characters ---\n{one.text}\n")


if __name__ == "__main__":
    main()
