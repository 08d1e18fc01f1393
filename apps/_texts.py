"""Texts of our own to try reading with: each has something that a voice's neurons may follow."""

SONNET = """Upon a shelf a clock that none did wind
Kept telling me how late it was, and lied;
I thought, there is no malice in its mind:
It says the only hour it ever tried.
"""

LETTER = """Dear customer, the firmware update of your router has failed. Please unplug the
device, wait ten seconds, and press the button behind the antenna twice.
"""

SCENE = """
First Messenger:
My lord, the wall is fall'n, and with it falls
The city's heart. I saw the banners bend;
I heard a voice cry out, Hold fast the gate!
But none was left to hold it, or to hear.

KING:
How many live?

First Messenger:
So few, my gracious lord, that I can name them:
Two brothers from the north, a smith, a boy
Who plays the drum, and plays it even now,
And one old man that will not leave his door.

QUEEN:
Then send to them. Say, open us your hearts
As once you opened us your city's gate.

KING:
Stay. What is that? I hear a drum, far off.
It comes and goes as if the wind were lame.

Second Messenger:
The boy, my lord! He walks before the host
And will not cease; and they, that burn'd the town,
Walk after him, and none has bid them halt.

QUEEN:
O brave small noise! The great ones, being dumb,
Must follow what is little and is loud.

KING:
Give him my horse, my chain, and half my bread;
And if he ask for more, then say the king
Has nothing more, but will go hungry with him.
"""

CONVERSATION = """"And you have seen him yourself?" asked the countess, who had risen from the sofa.

"I have seen his carriage," said Boris. "It stood before the house of the governor (the
one with the green roof), and two officers were waiting beside it in the snow."

"Two officers!" she repeated. "Then it is true. Then they will march tomorrow."

The old prince, who had been silent all this while, put down his cup. He looked from the
one to the other as if he were counting them, and smiled. "My dear," he said, "armies have
been marching tomorrow for as long as I have lived. I should begin to worry (if I still
worried) on the day when they are marching today."

Nobody laughed. Somewhere in the house a door was shut, and they heard the steps of the
children on the stairs, and a voice that called: "Quietly! Quietly, for God's sake!"

"Boris," said the countess, "you will go to him this evening. You will tell him what I told
you, and not a word more."

"And if he asks?"

"He never asks," she said. "That is why everybody tells him everything."

The prince laughed at last, and drew his chair nearer to the fire. "There," he said, "you
have the whole art of war. Go, my boy, and take the small horse (the grey one). He does not
ask either."
"""

PROGRAM = """// Count the blocks that are free, and those that two files claim.
#include "types.h"
#include "stat.h"
#include "user.h"

#define NBLOCK 128

static int used[NBLOCK];

/* Mark a block; the number of claims so far comes back. */
int
mark(int block)
{
  if(block < 0 || block >= NBLOCK){
    printf(2, "mark: no block %d\\n", block);
    return -1;
  }
  return used[block]++;
}

int
main(int argc, char *argv[])
{
  int i, n, twice;

  // Each argument is the number of a block.
  twice = 0;
  for(i = 1; i < argc; i++){
    n = mark(atoi(argv[i]));
    if(n > 0)
      twice++;
  }
  for(i = 0, n = 0; i < NBLOCK; i++){
    if(used[i] == 0)
      n++;  /* free */
  }
  printf(1, "free: %d\\n", n);
  if(twice > 0){
    printf(2, "claimed twice: %d\\n", twice);
    exit();
  }
  exit();
}
"""
