#!/usr/bin/env node
import { start } from "./programs/start.ts"

start()
