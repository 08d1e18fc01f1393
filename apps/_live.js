// A camera whose frames are sent one by one: the next one when the one before has come back.
const camera = element.querySelector(".camera");
const [status, canvas, video, other] = [".status", "canvas", "video", "button"].map((part) => camera.querySelector(part));
const { name, side, minutes } = camera.dataset;
const pen = canvas.getContext("2d");
const frame = document.createElement("canvas");
const patience = 120000; // milliseconds that an answer may take, in which a network is read
let stream = null;
let asking = false;
let facing = "user";
let number = 0;
let began = 0;
let times = [];
let waiting = 0;

const say = (state, ...sentences) => {
  status.className = `status ${state}`;
  status.replaceChildren(...sentences.map((sentence) => Object.assign(document.createElement("p"), { textContent: sentence })));
};

const why = (problem) => {
  if (!navigator.mediaDevices) return "A browser shows its camera only to pages on this machine (localhost) or over https.";
  const known = {
    NotAllowedError: "The camera was refused: allow it for this page in the browser's address bar, and start again.",
    NotFoundError: "There is no camera on this device.",
    NotReadableError: "The camera is in use by another program; close that one and start again.",
    OverconstrainedError: "There is no camera on this device.",
  };
  return known[problem?.name] || `The camera cannot be used (${problem?.name || "no reason given"}).`;
};

const stop = (state = "", ...sentences) => {
  const was = stream;
  clearTimeout(waiting);
  stream = null;
  number++;
  was?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  camera.classList.remove("on");
  if (was) trigger("stop");
  if (sentences.length) say(state, ...sentences);
};

const send = () => {
  if (!stream) return;
  if (performance.now() - began > minutes * 60000) {
    stop("stopped", `The camera was on for ${minutes} minutes; start it again if you like.`);
    return;
  }
  if (!video.videoWidth || !camera.offsetParent) {
    setTimeout(send, 200); // not yet, or not in sight
    return;
  }
  const scale = Math.min(1, side / Math.max(video.videoWidth, video.videoHeight));
  frame.width = Math.round(video.videoWidth * scale);
  frame.height = Math.round(video.videoHeight * scale);
  const brush = frame.getContext("2d");
  if (facing === "user") brush.setTransform(-1, 0, 0, 1, frame.width, 0); // as in a mirror
  brush.drawImage(video, 0, 0, frame.width, frame.height);
  number++;
  trigger("submit", { frame: frame.toDataURL("image/jpeg", 0.86), name, number });
  waiting = setTimeout(() => stream && stop("failed", "No answer came; start the camera again."), patience);
};

const start = async () => {
  if (stream) return;
  say("working", "Waiting for the camera");
  if (asking) return; // a second stream would never be stopped
  asking = true;
  try {
    const asked = { video: { width: { ideal: 960 }, facingMode: facing }, audio: false };
    stream = await navigator.mediaDevices.getUserMedia(asked);
  } catch (problem) {
    stop("failed", why(problem));
    return;
  } finally {
    asking = false;
  }
  if (status.classList.contains("stopped")) {
    stop("stopped", "The camera is off."); // while it was asked for
    return;
  }
  began = performance.now();
  times = [];
  stream.getVideoTracks()[0].addEventListener("ended", () => stream && stop("failed", "The camera went away."));
  video.srcObject = stream;
  await video.play().catch(() => {});
  camera.classList.toggle("mirrored", facing === "user");
  const cameras = await navigator.mediaDevices.enumerateDevices();
  other.hidden = cameras.filter((one) => one.kind === "videoinput").length < 2;
  say("working", "Getting ready");
  send();
};

addEventListener("camera", (event) => {
  if (event.detail[0] !== name) return;
  if (event.detail[1] === "start") start();
  else stop("stopped", "The camera is off.");
});

addEventListener("live", (event) => {
  const answer = JSON.parse(event.detail || "{}");
  if (answer.name !== name || answer.number !== number || !stream) return; // of a camera that was stopped
  clearTimeout(waiting);
  if (answer.failed) {
    stop("failed", answer.failed);
  } else if (answer.wait) {
    say("working", answer.wait);
    setTimeout(send, 1000);
  } else {
    const picture = new Image();
    picture.onload = () => {
      if (!stream) return;
      canvas.width = picture.naturalWidth;
      canvas.height = picture.naturalHeight;
      pen.drawImage(picture, 0, 0);
      camera.classList.add("on");
      times = [...times, performance.now()].slice(-10);
      const rate = (1000 * (times.length - 1)) / (times.at(-1) - times[0]);
      say("working", times.length > 2 ? `${rate.toFixed(1)} frames a second · ${canvas.width} × ${canvas.height}` : "Getting ready");
      send();
    };
    picture.src = answer.picture;
  }
});

other.hidden = true;
other.addEventListener("click", async () => {
  facing = facing === "user" ? "environment" : "user";
  stop();
  await start();
});
addEventListener("pagehide", () => stop());
document.addEventListener("visibilitychange", () => {
  if (document.hidden && stream) stop("stopped", "The camera is off while this page is out of sight.");
});
