#!/usr/bin/env node
import { main } from "./programs/cli.ts"

main()
