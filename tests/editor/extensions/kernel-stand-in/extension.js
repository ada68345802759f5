// What the Jupyter extension does with a kernel, as far as it matters who starts and ends it.
// cells.py talks to the kernel; what it prints is put into cell.out, beside cell.json.
"use strict";

const { spawn } = require("child_process");
const crypto = require("crypto");
const fs = require("fs");
const net = require("net");
const os = require("os");
const path = require("path");
const vscode = require("vscode");

let kernel;

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function start(folder) {
  const name = `kernel-v3${crypto.randomUUID().replaceAll("-", "")}.json`;
  const file = path.join(os.tmpdir(), name);
  const connection = { transport: "tcp", ip: "127.0.0.1", signature_scheme: "hmac-sha256" };
  connection.key = crypto.randomUUID();
  for (const channel of ["shell", "iopub", "stdin", "control", "hb"]) {
    connection[`${channel}_port`] = await freePort();
  }
  fs.writeFileSync(file, JSON.stringify(connection), { mode: 0o600 });
  const setting = vscode.workspace.getConfiguration("python").get("defaultInterpreterPath");
  const python = setting.replace("${workspaceFolder}", folder);
  const child = spawn(python, ["-m", "ipykernel_launcher", `--f=${file}`], {
    cwd: folder,
    stdio: "ignore",
  });
  kernel = { child, file, python, isNew: true };
}

function end() {
  const ended = kernel;
  kernel = undefined;
  return new Promise((resolve) => {
    ended.child.once("exit", resolve);
    ended.child.kill("SIGTERM");
  }).then(() => fs.rmSync(ended.file, { force: true }));
}

async function run() {
  const folder = vscode.workspace.workspaceFolders[0].uri.fsPath;
  const cell = JSON.parse(fs.readFileSync(path.join(folder, "cell.json"), "utf8"));
  if (!kernel) await start(folder);
  const how = kernel.isNew ? cell.lab : "";
  kernel.isNew = false;
  const program = path.join(__dirname, "cells.py");
  const client = spawn(kernel.python, ["-E", program, kernel.file, how, cell.code]);
  let said = "";
  for (const stream of [client.stdout, client.stderr]) stream.on("data", (part) => (said += part));
  await new Promise((resolve) => client.once("close", resolve));
  fs.writeFileSync(path.join(folder, "cell.new"), said);
  fs.renameSync(path.join(folder, "cell.new"), path.join(folder, "cell.out"));
}

exports.activate = (context) => {
  context.subscriptions.push(
    vscode.commands.registerCommand("kernelStandIn.run", run),
    vscode.commands.registerCommand("kernelStandIn.restart", async () => {
      if (kernel) await end();
      await run();
    })
  );
};

exports.deactivate = () => (kernel ? end() : undefined);
